// A generated client: the README's story, or the feed from a cursor on. Prints its result as JSON.
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { OrganizationService } from "./typescript/gitpod/v1/organization_pb";
import { EventService } from "./typescript/guestlist/v1/event_pb";

const [url, phase, ana, ...more] = process.argv.slice(2);

function transport(key: string) {
    const credential: Interceptor = (next) => (request) => {
        request.header.set("authorization", `Bearer ${key}`);
        return next(request);
    };
    return createConnectTransport({ baseUrl: url, interceptors: [credential] });
}

const feed = createClient(EventService, transport(ana));

async function read(organizationId: string, cursor: string) {
    const response = await feed.listEvents({ organizationId, cursor });
    return { types: response.events.map((event) => event.type), cursor: response.cursor };
}

if (phase === "story") {
    const organizations = createClient(OrganizationService, transport(ana));
    const ben = createClient(OrganizationService, transport(more[0]));
    const made = await organizations.createOrganization({ name: "Acme", joinOrganization: true });
    const organizationId = made.organization!.id;
    const { cursor } = await read(organizationId, "");
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
} else {
    console.log(JSON.stringify(await read(more[0], more[1])));
}
