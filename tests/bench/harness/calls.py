"""The measured calls, as loads on Guestlist's own protocols."""

from harness import fill, wire
from harness.load import Load

WRITERS = 64  # organizations that are written to, each by a process of its own


def summary(token, headers):
    """GetOrganizationInviteSummary over gRPC: 256 in flight on eight connections."""
    answer = wire.summary_size(fill.organization_name(0))
    return Load(wire.SUMMARY, {**wire.GRPC, **headers}, (wire.by_id(token),), answer=answer)


def summary_web(token, headers):
    return Load(wire.SUMMARY, {**wire.GRPC_WEB, **headers}, (wire.by_id(token),))


def summary_json(token, headers):
    return Load(wire.SUMMARY, {**wire.JSON, **headers}, (wire.json_by_id(token),))


def summary_get(tokens, headers):
    """By Connect's GET, each with another token."""
    return Load(headers=headers, paths=tuple(wire.connect_get(token) for token in tokens))


def summary_of_eight(tokens, headers):
    """GetOrganizationInviteSummary over gRPC of eight links, a connection each: 256 in flight."""
    return Load(wire.SUMMARY, {**wire.GRPC, **headers}, tuple(map(wire.by_id, tokens)), clients=1)


def membership(organization, headers):
    """GetMembership, the caller's own: 256 in flight on eight connections."""
    return again(wire.MEMBERSHIP, wire.by_id(organization), headers)


def memberships(organizations, account, headers):
    """BatchGetMemberships: one account in each of these organizations; one call in flight on each of eight
    connections, so that a call does not wait for others of its connection."""
    body = wire.memberships_of([(organization, str(account)) for organization in organizations])
    return Load(wire.MEMBERSHIPS, {**wire.GRPC, **headers}, (body,), clients=8, streams=1)


def create(organizations, headers):
    """CreateOrganizationInvite over gRPC: 256 in flight, four in each organization."""
    bodies = [wire.by_id(organization) for organization in organizations[:WRITERS]]
    return side_by_side(wire.CREATE, bodies, headers, answer=wire.CREATED_SIZE)


def create_in_eight(organizations, headers):
    """The same by eight connections with 32 calls each, a connection an organization: where changes
    follow one another anyway, as on SQLite."""
    bodies = [wire.by_id(organization) for organization in organizations[:8]]
    return Load(wire.CREATE, {**wire.GRPC, **headers}, tuple(bodies), clients=1, streams=32,
                answer=wire.CREATED_SIZE)


def create_paced(organizations, headers, rps):
    """CreateOrganizationInvite over gRPC, a connection an organization, so many a second each."""
    bodies = [wire.by_id(organization) for organization in organizations]
    return Load(wire.CREATE, {**wire.GRPC, **headers}, tuple(bodies), clients=1, answer=wire.CREATED_SIZE, rps=rps)


def side_by_side(path, bodies, headers, answer=None):
    """A call over gRPC with 64 bodies: 256 in flight, four of each."""
    return Load(path, {**wire.GRPC, **headers}, tuple(bodies), clients=1, streams=4, answer=answer)


def again(path, body, headers):
    """A call over gRPC with one body: 256 in flight on eight connections."""
    return Load(path, {**wire.GRPC, **headers}, (body,))


def join(invites, key):
    """Joins with each of these invites (organization and token) by the account with this key, four in flight."""
    paths = tuple(wire.join_path(organization, token) for organization, token in invites)
    headers = {**wire.JSON, "authorization": f"Bearer {key}"}
    return Load(headers=headers, bodies=(wire.NOTHING,), paths=paths, clients=1, streams=4,
                answer=len(wire.NOTHING), route=wire.JOIN_ROUTE)


def create_alone(organization, headers):
    """The same, one in flight."""
    return Load(wire.CREATE, {**wire.GRPC, **headers}, (wire.by_id(organization),), clients=1, streams=1,
                answer=wire.CREATED_SIZE)


def tokens(shape):
    """Of all the live join links, by the number of their organization."""
    return [str(fill.token(number)) for number in range(shape.organizations)]


def organizations(shape):
    return [str(fill.organization_id(number)) for number in range(shape.organizations)]
