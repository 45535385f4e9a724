// Verifies webhook requests with the package `standardwebhooks`. Reads one request from each line, in JSON:
// `{secret, headers, body}`. Prints `ok`, or the package's error.
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
