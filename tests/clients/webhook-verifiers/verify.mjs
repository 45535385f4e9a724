// Verifies webhook requests with the package `standardwebhooks`: one JSON line each, `{secret, headers, body}`.
// Prints `ok`, or what the package said.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { Webhook } = createRequire(`${process.argv[2]}/`)("standardwebhooks");
for await (const line of createInterface({ input: process.stdin })) {
    const { secret, headers, body } = JSON.parse(line);
    try {
        new Webhook(secret).verify(body, headers);
        console.log("ok");
    } catch (error) {
        console.log(error.message);
    }
}
