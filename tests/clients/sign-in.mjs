// Four OpenID providers (npm's oidc-provider), each on its own port. The first line of standard output
// has their URLs; they end when standard input closes.
//
// acme: a public client, ID tokens. beta: a client with a secret, access tokens for guestlist.
// other: as beta, but its access tokens are for another service. brief: as acme, but its tokens expire
// soon; it renews them, except those of gone@example.net.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, secret] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

// The service accepts tokens for a minute after they expire. The clock here is 49 seconds slow, so the
// service accepts tokens of brief for twelve seconds: this is longer than the longest call of the console.
const now = Date.now;
Date.now = () => now() - 49_000;

const userClaims = (id) => ({ email: id, email_verified: true, name: id.split("@")[0] });

async function start(client, audience, options = {}) {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "guestlist",
      application_type: "native", // allows any port of the server in the redirect URI
      redirect_uris: ["http://127.0.0.1/sign-in"],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      ...client,
    }],
    findAccount: (_, id, token) => {
      const isRejected = token?.kind === "RefreshToken" && id === "gone@example.net";
      return isRejected ? undefined : { accountId: id, claims: () => ({ sub: id, ...userClaims(id) }) };
    },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false, // the ID token contains the mail address, too
    cookies: { keys: ["test"] },
    pkce: { required: () => true },
    ...options,
    extraTokenClaims: (_, token) => userClaims(token.accountId),
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: Boolean(audience),
        getResourceServerInfo: () => ({ scope: "openid email profile", audience, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
        useGrantedResource: () => true,
      },
    },
  });
  server.on("request", provider.callback());
  return issuer;
}

const publicClient = { token_endpoint_auth_method: "none" };
const confidentialClient = { token_endpoint_auth_method: "client_secret_basic", client_secret: secret };
const shortLivedTokens = { issueRefreshToken: () => true, ttl: { IdToken: 1 } };
const clientWithRefreshTokens = { ...publicClient, grant_types: ["authorization_code", "refresh_token"] };
const issuers = { brief: await start(clientWithRefreshTokens, undefined, shortLivedTokens), acme: await start(publicClient), beta: await start(confidentialClient, "guestlist"), other: await start(confidentialClient, "elsewhere") };
console.log(JSON.stringify(issuers));
process.stdin.resume();
process.stdin.on("end", () => process.exit());
