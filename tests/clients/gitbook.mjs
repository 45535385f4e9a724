// Makes one call with the client for each line of input, in JSON: {key, call, arguments} in, {status, data} or
// {error} out.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, endpoint] = process.argv.slice(2);
const { GitBookAPI } = await import(pathToFileURL(`${folder}/node_modules/@gitbook/api/dist/index.js`));

for await (const line of createInterface({ input: process.stdin })) {
    const { key, call, arguments: values } = JSON.parse(line);
    const [group, name] = call.split(".");
    let result;
    try {
        const client = new GitBookAPI({ endpoint, authToken: key });
        const response = await client[group][name](...values);
        result = { status: response.status, data: response.data };
    } catch (error) {
        result = { error: { kind: error.name, status: error.code, message: error.errorMessage ?? String(error) } };
    }
    console.log(JSON.stringify(result));
}
