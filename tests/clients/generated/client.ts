// Uses a generated client: runs the README's example, or reads the feed after a cursor, by one call or
// by a stream until there is an event. Prints its result as JSON, a line for each message.
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { OrganizationService } from "./typescript/gitpod/v1/organization_pb";
import { EventService, type Event } from "./typescript/guestlist/v1/event_pb";

const [url, phase, ana, ...more] = process.argv.slice(2);

function transport(key: string) {
    const credential: Interceptor = (next) => (request) => {
        request.header.set("authorization", `Bearer ${key}`);
        return next(request);
    };
    return createConnectTransport({ baseUrl: url, interceptors: [credential] });
}

const feed = createClient(EventService, transport(ana));

function shown({ events, cursor }: { events: Event[]; cursor: string }) {
    return { types: events.map((event) => event.type), cursor };
}

async function read(organizationId: string, cursor: string, seconds: string) {
    return shown(await feed.listEvents({ organizationId, cursor, wait: { seconds: BigInt(seconds) } }));
}

if (phase === "story") {
    const organizations = createClient(OrganizationService, transport(ana));
    const ben = createClient(OrganizationService, transport(more[0]));
    const made = await organizations.createOrganization({ name: "Acme", joinOrganization: true });
    const organizationId = made.organization!.id;
    const { cursor } = await read(organizationId, "", "0");
    const invite = await organizations.createOrganizationInvite({ organizationId });
    const inviteId = invite.invite!.inviteId;
    const summary = await ben.getOrganizationInviteSummary({ inviteId });
    await ben.joinOrganization({ joinId: { case: "inviteId", value: inviteId } });
    const listed = await organizations.listMembers({ organizationId });
    console.log(JSON.stringify({
        organization: organizationId,
        name: summary.organizationName,
        token: inviteId,
        members: listed.members.map((member) => member.email).sort(),
        cursor,
    }));
} else if (phase === "watch") {
    // Leaving the loop does not end the call.
    const call = new AbortController();
    for await (const message of feed.watch({ organizationId: more[0], cursor: more[1] }, { signal: call.signal })) {
        console.log(JSON.stringify(shown(message)));
        if (message.events.length > 0) {
            break;
        }
    }
    call.abort();
    process.exit(0);
} else {
    console.log(JSON.stringify(await read(more[0], more[1], more[2])));
}
