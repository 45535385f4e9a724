"""The measured calls, as loads on Guestlist's protocols."""

from harness import fill, wire
from harness.load import Load

WRITERS = 64  # organizations with changes, each with its own process of h2load


def summary(token, headers):
    """GetOrganizationInviteSummary over gRPC: 256 in flight on eight connections."""
    answer = wire.summary_size(fill.organization_name(0))
    return Load(wire.SUMMARY, {**wire.GRPC, **headers}, (wire.by_id(token),), answer=answer)


def summary_web(token, headers):
    return Load(wire.SUMMARY, {**wire.GRPC_WEB, **headers}, (wire.by_id(token),))


def summary_json(token, headers):
    return Load(wire.SUMMARY, {**wire.JSON, **headers}, (wire.json_by_id(token),))


def summary_get(tokens, headers):
    """GetOrganizationInviteSummary by Connect's GET, with these tokens in turn."""
    return Load(headers=headers, paths=tuple(wire.connect_get(token) for token in tokens))


def summary_of_eight(tokens, headers):
    """GetOrganizationInviteSummary over gRPC of eight links, one connection for each link: 256 in flight."""
    return Load(wire.SUMMARY, {**wire.GRPC, **headers}, tuple(map(wire.by_id, tokens)), clients=1)


def membership(organization, headers):
    """GetMembership of the caller: 256 in flight on eight connections."""
    return again(wire.MEMBERSHIP, wire.by_id(organization), headers)


def memberships(organizations, account, headers):
    """BatchGetMemberships of one account in each of these organizations. Each of eight connections has one call in
    flight, so that a call does not wait for others on its connection."""
    body = wire.memberships_of([(organization, str(account)) for organization in organizations])
    return Load(wire.MEMBERSHIPS, {**wire.GRPC, **headers}, (body,), clients=8, streams=1)


def create(organizations, headers):
    """CreateOrganizationInvite over gRPC: 256 in flight, four in each organization."""
    bodies = [wire.by_id(organization) for organization in organizations[:WRITERS]]
    return side_by_side(wire.CREATE, bodies, headers, answer=wire.CREATED_SIZE)


def create_in_eight(organizations, headers):
    """CreateOrganizationInvite over gRPC on eight connections, one for each organization, with 32 calls in flight each.
    For an engine that makes one change at a time, such as SQLite."""
    bodies = [wire.by_id(organization) for organization in organizations[:8]]
    return Load(wire.CREATE, {**wire.GRPC, **headers}, tuple(bodies), clients=1, streams=32,
                answer=wire.CREATED_SIZE)


def create_paced(organizations, headers, rps):
    """CreateOrganizationInvite over gRPC: one connection for each organization, with `rps` calls a second each."""
    bodies = [wire.by_id(organization) for organization in organizations]
    return Load(wire.CREATE, {**wire.GRPC, **headers}, tuple(bodies), clients=1, answer=wire.CREATED_SIZE, rps=rps)


def side_by_side(path, bodies, headers, answer=None):
    """A call over gRPC with several bodies, four calls of each in flight (256 with 64 bodies)."""
    return Load(path, {**wire.GRPC, **headers}, tuple(bodies), clients=1, streams=4, answer=answer)


def again(path, body, headers):
    """A call over gRPC with one body: 256 in flight on eight connections."""
    return Load(path, {**wire.GRPC, **headers}, (body,))


def join(invites, key):
    """The account with this key joins with each of these invites (organization and token): four calls in flight."""
    paths = tuple(wire.join_path(organization, token) for organization, token in invites)
    headers = {**wire.JSON, "authorization": f"Bearer {key}"}
    return Load(headers=headers, bodies=(wire.NOTHING,), paths=paths, clients=1, streams=4,
                answer=len(wire.NOTHING), route=wire.JOIN_ROUTE)


def create_alone(organization, headers):
    """CreateOrganizationInvite over gRPC in one organization, one call in flight."""
    return Load(wire.CREATE, {**wire.GRPC, **headers}, (wire.by_id(organization),), clients=1, streams=1,
                answer=wire.CREATED_SIZE)


def tokens(shape):
    """The tokens of all live join links, in the order of the numbers of their organizations."""
    return [str(fill.token(number)) for number in range(shape.organizations)]


def organizations(shape):
    return [str(fill.organization_id(number)) for number in range(shape.organizations)]
