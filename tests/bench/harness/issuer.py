"""An issuer of JSON Web Tokens. openssl makes its keys and signatures."""

import base64
import json
import subprocess
import time

ISSUER, AUDIENCE = "https://issuer.example", "guestlist"
KEYS = {
    "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}
EC_COORDINATE = 32  # bytes


class Issuer:
    """An issuer with one key for each algorithm; the algorithm's name is the key's id."""

    def __init__(self, directory):
        self.directory = directory
        for algorithm, kind in KEYS.items():
            openssl("genpkey", *kind, "-out", self.key(algorithm))
        jwks = {"keys": [{"kid": algorithm, "use": "sig", **self.public(algorithm)} for algorithm in KEYS]}
        (directory / "issuer.json").write_text(json.dumps(jwks))

    def key(self, algorithm):
        return self.directory / f"{algorithm}.pem"

    def public(self, algorithm):
        if algorithm == "ES256":
            # The DER ends with the uncompressed point: x, then y.
            point = openssl("pkey", "-in", self.key(algorithm), "-pubout", "-outform", "DER")[-2 * EC_COORDINATE:]
            x, y = point[:EC_COORDINATE], point[EC_COORDINATE:]
            return {"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)}
        modulus = openssl("rsa", "-in", self.key(algorithm), "-noout", "-modulus").decode().strip().split("=")[1]
        return {"kty": "RSA", "n": encode(bytes.fromhex(modulus)), "e": "AQAB"}

    def configuration(self):
        """Writes a configuration file that trusts this issuer, and returns its path."""
        path = self.directory / "guestlist.toml"
        path.write_text(f"""
            [[issuers]]
            issuer = "{ISSUER}"
            audience = "{AUDIENCE}"
            algorithms = {list(KEYS)}
            jwks_file = "{self.directory}/issuer.json"
            login_provider = "issuer"
            verified_email_domains = ["example.com"]
        """)
        return path

    def token(self, algorithm):
        """A token that is valid for an hour, with the claims that sign-in providers send."""
        now = int(time.time())
        header = {"alg": algorithm, "typ": "JWT", "kid": algorithm}
        claims = {
            "iss": ISSUER, "sub": f"bench-{algorithm}", "aud": AUDIENCE, "iat": now, "exp": now + 3600,
            "email": f"{algorithm}@example.com".lower(), "email_verified": True, "name": "Bench",
            "picture": "https://issuer.example/pictures/bench.png",
        }
        signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.key(algorithm), given=signed.encode())
        if algorithm == "ES256":
            signature = raw(signature)
        return f"{signed}.{encode(signature)}"


def raw(signature):
    """Converts an ECDSA signature from DER to the two numbers that a token has (RFC 7518, 3.4)."""
    numbers, rest = [], signature[2:]
    for _ in range(2):
        length = rest[1]
        number = int.from_bytes(rest[2:2 + length], "big")
        numbers.append(number.to_bytes(EC_COORDINATE, "big"))
        rest = rest[2 + length:]
    return b"".join(numbers)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=given or b"", capture_output=True, check=True).stdout
