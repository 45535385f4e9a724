"""The steps that run with each SDK: the life of an organization from its creation to its deletion.

An SDK is passed as an object with
  person(key)          the caller with this key: .call(rpc, **fields), .members(**fields) -> Listing
  refused(code)        a context in which the SDK must raise its error for this code
  role(member), has(message, field)
"""

import collections
import uuid

from support import equal

Listing = collections.namedtuple("Listing", "members pages count")

ADMIN, MEMBER = "ORGANIZATION_ROLE_ADMIN", "ORGANIZATION_ROLE_MEMBER"
CROWD = ["carol", "dave", "erin", "frank", "grace"]


def make_keys(server):
    """A key for each of: alice, who creates the organization; bob and CROWD; zoe and heidi, at first not members."""
    return {name: server.key(f"{name}@example.com") for name in ["alice", "bob", *CROWD, "zoe", "heidi"]}


def emails(listing):
    return [member.email.split("@")[0] for member in listing.members]


def organization_story(step, server, sdk, keys):
    alice, bob, zoe, heidi = (sdk.person(keys[name]) for name in ("alice", "bob", "zoe", "heidi"))

    with step("create an organization and join it"):
        created = alice.call("CreateOrganization", name="Crew", join_organization=True)
        org = created.organization.id
        equal(uuid.UUID(org).variant, uuid.RFC_4122)
        equal(created.organization.name, "Crew")
        equal(sdk.role(created.member), ADMIN)
        equal(created.member.email, "alice@example.com")
        me = created.member.user_id

    with step("create an organization, join it by id as its first admin, delete it"):
        second = alice.call("CreateOrganization", name="Second crew")
        assert not sdk.has(second, "member"), "there is a member without join_organization"
        joined = alice.call("JoinOrganization", organization_id=second.organization.id)
        equal(sdk.role(joined.member), ADMIN)
        alice.call("DeleteOrganization", organization_id=second.organization.id)

    with step("get the organization"):
        equal(alice.call("GetOrganization", organization_id=org).organization.name, "Crew")

    with step("create an invite"):
        token = server.secret(alice.call("CreateOrganizationInvite", organization_id=org).invite.invite_id)
        equal(uuid.UUID(token).version, 4, "the token's UUID version")

    with step("get the invite: it is the same one"):
        equal(alice.call("GetOrganizationInvite", organization_id=org).invite.invite_id, token)

    with step("the invited account gets a preview"):
        summary = bob.call("GetOrganizationInviteSummary", invite_id=token)
        equal(summary.organization_id, org)
        equal(summary.organization_name, "Crew")
        equal(summary.organization_member_count, 1)

    with step("the second account joins with the token"):
        joined = bob.call("JoinOrganization", invite_id=token).member
        equal(sdk.role(joined), MEMBER)
        equal(joined.email, "bob@example.com")

    with step("joining again returns the same member"):
        equal(bob.call("JoinOrganization", invite_id=token).member.user_id, joined.user_id)

    with step("five more accounts join"):
        for name in CROWD:
            sdk.person(keys[name]).call("JoinOrganization", invite_id=token)
        equal(bob.call("GetOrganizationInviteSummary", invite_id=token).organization_member_count, 7)

    with step("list members over several pages, the caller first, then by name"):
        listing = bob.members(organization_id=org, page_size=3)
        equal(emails(listing), ["bob", "alice", *CROWD])
        equal(listing.pages, 3, "pages")

    with step("list members on one page"):
        listing = bob.members(organization_id=org)
        equal((len(listing.members), listing.pages), (7, 1))

    with step("members sorted by name, descending, over several pages"):
        sort = {"field": "SORT_FIELD_NAME", "order": "SORT_ORDER_DESC"}
        listing = bob.members(organization_id=org, page_size=2, sort=sort)
        equal(emails(listing), [*reversed(CROWD), "bob", "alice"])
        equal(listing.pages, 4, "pages")

    with step("members sorted by the date of joining"):
        sort = {"field": "SORT_FIELD_DATE_JOINED", "order": "SORT_ORDER_ASC"}
        equal(emails(bob.members(organization_id=org, page_size=3, sort=sort)), ["alice", "bob", *CROWD])

    for name, wanted, found in [
        ("search, without case", {"search": "CAROL"}, ["carol"]),
        ("search in the address", {"search": "ave@EXAMPLE"}, ["dave"]),
        ("role", {"roles": [ADMIN]}, ["alice"]),
        ("status", {"statuses": ["USER_STATUS_SUSPENDED", "USER_STATUS_LEFT"]}, []),
        ("address", {"email": "erin@example.com"}, ["erin"]),
        ("nobody", {"search": "nobody of that name"}, []),
    ]:
        with step(f"filter: {name}"):
            equal(emails(alice.members(organization_id=org, filter=wanted)), found)

    with step("filter: member ids"):
        equal(emails(alice.members(organization_id=org, filter={"user_ids": [joined.user_id, me]})), ["alice", "bob"])

    with step("the count comes only when it is requested"):
        equal(alice.members(organization_id=org, page_size=2, count={"include": True}).count, 7)
        equal(alice.members(organization_id=org, page_size=2).count, None)

    with step("a member calls RPCs for admins: PERMISSION_DENIED"):
        for rpc, fields in [
            ("UpdateOrganization", {"name": "Mine now"}),
            ("DeleteOrganization", {}),
            ("SetRole", {"user_id": joined.user_id, "role": ADMIN}),
            ("CreateOrganizationInvite", {}),
            ("GetOrganizationInvite", {}),
        ]:
            with sdk.refused("permission_denied"):
                bob.call(rpc, organization_id=org, **fields)
        with sdk.refused("permission_denied"):
            bob.call("LeaveOrganization", user_id=me)

    with step("an account that is not a member finds no organization: NOT_FOUND"):
        for rpc, fields in [
            ("GetOrganization", {}),
            ("UpdateOrganization", {"name": "Mine now"}),
            ("DeleteOrganization", {}),
            ("SetRole", {"user_id": me, "role": MEMBER}),
            ("CreateOrganizationInvite", {}),
            ("GetOrganizationInvite", {}),
            ("JoinOrganization", {}),
        ]:
            with sdk.refused("not_found"):
                zoe.call(rpc, organization_id=org, **fields)
        with sdk.refused("not_found"):
            zoe.members(organization_id=org)
        with sdk.refused("not_found"):
            zoe.call("LeaveOrganization", user_id=me)
        with sdk.refused("not_found"):
            zoe.call("GetOrganizationInviteSummary", invite_id=str(uuid.uuid4()))

    with step("bad input: INVALID_ARGUMENT"):
        with sdk.refused("invalid_argument"):
            alice.call("CreateOrganization", name="ab")
        with sdk.refused("invalid_argument"):
            alice.call("GetOrganization", organization_id="not a UUID")
        with sdk.refused("invalid_argument"):
            alice.call("JoinOrganization")
        with sdk.refused("invalid_argument"):
            alice.members(organization_id=org, page_size=101)
        with sdk.refused("invalid_argument"):
            alice.call("UpdateOrganization", organization_id=org, invite_domains={"domains": ["-.com"]})

    with step("a wrong key: UNAUTHENTICATED"):
        wrong = keys["alice"][:-1] + ("0" if keys["alice"][-1] != "0" else "1")
        for key in (wrong, "not-a-key"):
            with sdk.refused("unauthenticated"):
                sdk.person(key).call("GetOrganization", organization_id=org)

    with step("the last admin cannot leave or lose the role: FAILED_PRECONDITION"):
        with sdk.refused("failed_precondition"):
            alice.call("SetRole", organization_id=org, user_id=me, role=MEMBER)
        with sdk.refused("failed_precondition"):
            alice.call("LeaveOrganization", user_id=me)

    with step("set a role, and set it back"):
        alice.call("SetRole", organization_id=org, user_id=joined.user_id, role=ADMIN)
        equal(emails(alice.members(organization_id=org, filter={"roles": [ADMIN]})), ["alice", "bob"])
        bob.call("UpdateOrganization", organization_id=org, name="Crew of two admins")
        alice.call("SetRole", organization_id=org, user_id=joined.user_id, role=MEMBER)
        with sdk.refused("permission_denied"):
            bob.call("UpdateOrganization", organization_id=org, name="Crew of bob")

    with step("rotate the invite"):
        fresh = server.secret(alice.call("CreateOrganizationInvite", organization_id=org).invite.invite_id)
        assert fresh != token, "the token stayed the same"
        equal(alice.call("GetOrganizationInvite", organization_id=org).invite.invite_id, fresh)

    with step("the old link is rejected for preview and join: NOT_FOUND"):
        with sdk.refused("not_found"):
            zoe.call("GetOrganizationInviteSummary", invite_id=token)
        with sdk.refused("not_found"):
            zoe.call("JoinOrganization", invite_id=token)

    with step("the new link works"):
        equal(zoe.call("GetOrganizationInviteSummary", invite_id=fresh).organization_member_count, 7)
        guest = zoe.call("JoinOrganization", invite_id=fresh).member
        equal(sdk.role(guest), MEMBER)

    with step("update the organization: name and domains, one by one"):
        domains = {"domains": ["example.com", "example.org"]}
        changed = alice.call("UpdateOrganization", organization_id=org, name="Crew and guests").organization
        equal(changed.name, "Crew and guests")
        changed = alice.call("UpdateOrganization", organization_id=org, invite_domains=domains).organization
        equal((changed.name, list(changed.invite_domains.domains)), ("Crew and guests", domains["domains"]))

    with step("public mail domains are rejected: FAILED_PRECONDITION"):
        with sdk.refused("failed_precondition"):
            alice.call("UpdateOrganization", organization_id=org, invite_domains={"domains": ["gmail.com"]})

    with step("join by mail domain"):
        by_domain = heidi.call("JoinOrganization", organization_id=org).member
        equal(sdk.role(by_domain), MEMBER)

    with step("an admin removes a member; that account cannot join again by link or mail domain: NOT_FOUND"):
        alice.call("LeaveOrganization", user_id=by_domain.user_id)
        with sdk.refused("not_found"):
            heidi.call("GetOrganization", organization_id=org)
        with sdk.refused("not_found"):
            heidi.call("JoinOrganization", organization_id=org)
        with sdk.refused("not_found"):
            heidi.call("JoinOrganization", invite_id=fresh)

    with step("clear the domains"):
        cleared = alice.call("UpdateOrganization", organization_id=org, invite_domains={"domains": []}).organization
        equal(list(cleared.invite_domains.domains) if sdk.has(cleared, "invite_domains") else [], [])

    with step("leave"):
        bob.call("LeaveOrganization", user_id=joined.user_id)
        with sdk.refused("not_found"):
            bob.call("GetOrganization", organization_id=org)
        with sdk.refused("not_found"):
            alice.call("LeaveOrganization", user_id=joined.user_id)
        left = alice.members(organization_id=org, filter={"statuses": ["USER_STATUS_LEFT"], "search": "bob"})
        equal([member.user_id for member in left.members], [joined.user_id])

    with step("an account that left can join again, as a new member"):
        back = bob.call("JoinOrganization", invite_id=fresh).member
        assert back.user_id != joined.user_id, "the member id is the old one"

    with step("delete the organization; after that calls for it end with NOT_FOUND"):
        alice.call("DeleteOrganization", organization_id=org)
        for rpc in ("GetOrganization", "DeleteOrganization", "CreateOrganizationInvite"):
            with sdk.refused("not_found"):
                alice.call(rpc, organization_id=org)
        with sdk.refused("not_found"):
            heidi.call("GetOrganizationInviteSummary", invite_id=fresh)
        with sdk.refused("not_found"):
            heidi.call("JoinOrganization", invite_id=fresh)
