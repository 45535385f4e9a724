// The page's script: makes a call with one of the clients and returns the result in plain values:
// {message} or {code, text, details}.
import { create, createRegistry, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";
import { OrganizationService } from "stubs/gitpod/v1/organization_pb.js";
import { OrganizationService as GuestlistOrganizationService } from "stubs/guestlist/v1/organization_pb.js";
import { Health } from "stubs/health_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "stubs/error_details_pb.js";
import { StatusSchema } from "stubs/status_pb.js";

const SERVICES = Object.fromEntries([OrganizationService, GuestlistOrganizationService, Health].map((service) => [service.typeName, service]));
const DETAILS = createRegistry(BadRequestSchema, ErrorInfoSchema, RetryInfoSchema);

// Each client by its name: a function that takes the server's URL and returns the functions that make calls.
const CLIENTS = {
    "grpc-web, text": (url) => grpcWeb(url, "text"),
    "grpc-web, binary": (url) => grpcWeb(url, "binary"),
    "connect-web, Connect in JSON": (url) => connect(createConnectTransport({ baseUrl: url })),
    "connect-web, Connect in protobuf, with GET": (url) =>
        connect(createConnectTransport({ baseUrl: url, useBinaryFormat: true, useHttpGet: true })),
    "connect-web, gRPC-Web": (url) => connect(createGrpcWebTransport({ baseUrl: url })),
};

/** Calls `service/method` with a message in JSON. */
window.call = async ({ client, url, method: path, message, key, timeout }) => {
    const [service, name] = path.split("/");
    const method = SERVICES[service].methods.find((each) => each.name === name);
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    try {
        const response = await CLIENTS[client](url).unary(method, fromJson(method.input, message), headers, timeout);
        return { message: toJson(method.output, response) };
    } catch (error) {
        return errorValues(error);
    }
};

/** Returns the first message of the health stream, then stops reading the stream. */
window.watch = async ({ client, url }) => {
    try {
        return { message: toJson(Health.method.watch.output, await CLIENTS[client](url).first(Health.method.watch, {})) };
    } catch (error) {
        return errorValues(error);
    }
};

function connect(transport) {
    const client = (method) => createClient(method.parent, transport)[method.localName];
    return {
        unary: (method, request, headers, timeoutMs) => client(method)(request, { headers, timeoutMs }),
        async first(method, request) {
            for await (const message of client(method)(request)) {
                return message;
            }
        },
    };
}

function grpcWeb(url, format) {
    const client = new GrpcWebClientBase({ format });
    const descriptor = (method, kind) => new MethodDescriptor(
        `/${method.parent.typeName}/${method.name}`, kind, Object, Object,
        (request) => toBinary(method.input, request), (bytes) => fromBinary(method.output, bytes),
    );
    const target = (descriptor) => url + descriptor.getName();
    return {
        unary(method, request, headers, timeout) {
            const metadata = timeout ? { ...headers, deadline: String(Date.now() + timeout) } : headers;
            const unary = descriptor(method, MethodType.UNARY);
            return client.unaryCall(target(unary), request, metadata, unary);
        },
        first(method, request) {
            const streaming = descriptor(method, MethodType.SERVER_STREAMING);
            const stream = client.serverStreaming(target(streaming), create(method.input, request), {}, streaming);
            return new Promise((resolve, reject) => {
                stream.on("error", reject);
                stream.on("data", (message) => {
                    stream.cancel();
                    resolve(message);
                });
            });
        },
    };
}

/** Returns the values of an error of either library: the number of its gRPC code, its text, and its details by type. */
function errorValues(error) {
    const details = {};
    if (error instanceof ConnectError) {
        for (const type of DETAILS) {
            for (const detail of error.findDetails(type)) {
                details[type.typeName] = toJson(type, detail);
            }
        }
        return { code: error.code, text: error.rawMessage, details };
    }
    const packed = error.metadata?.["grpc-status-details-bin"];
    if (packed) {
        const status = fromBinary(StatusSchema, Uint8Array.from(atob(packed), (char) => char.charCodeAt(0)));
        for (const any of status.details) {
            const detail = anyUnpack(any, DETAILS);
            details[detail.$typeName] = toJson(DETAILS.getMessage(detail.$typeName), detail);
        }
    }
    return { code: error.code, text: error.message, details };
}
