"""The steps that run with each SDK: an organization from its creation to its deletion.

An SDK is passed as an object with
  client(key)          a client with this key: .call(rpc, **fields), .members(**fields) -> Listing
  expect_error(code)   a context in which the SDK must raise its error for this code
  role(member), has_field(message, field)
"""

import collections
import uuid

from support import equal

Listing = collections.namedtuple("Listing", "members pages count")

ADMIN, MEMBER = "ORGANIZATION_ROLE_ADMIN", "ORGANIZATION_ROLE_MEMBER"
OTHER_MEMBERS = ["carol", "dave", "erin", "frank", "grace"]


def make_keys(server):
    """A key for each of: alice, who creates the organization; bob and OTHER_MEMBERS; zoe and heidi, at first not members."""
    return {name: server.key(f"{name}@example.com") for name in ["alice", "bob", *OTHER_MEMBERS, "zoe", "heidi"]}


def emails(listing):
    return [member.email.split("@")[0] for member in listing.members]


def organization_story(step, server, sdk, keys):
    alice, bob, zoe, heidi = (sdk.client(keys[name]) for name in ("alice", "bob", "zoe", "heidi"))

    with step("CreateOrganization creates an organization, and its creator joins as admin"):
        created = alice.call("CreateOrganization", name="Crew", join_organization=True)
        org = created.organization.id
        equal(uuid.UUID(org).variant, uuid.RFC_4122)
        equal(created.organization.name, "Crew")
        equal(sdk.role(created.member), ADMIN)
        equal(created.member.email, "alice@example.com")
        alice_id = created.member.user_id

    with step("the creator of an organization joins it by id as its first admin, and deletes it"):
        second_organization = alice.call("CreateOrganization", name="Second crew")
        assert not sdk.has_field(second_organization, "member"), "there is a member without join_organization"
        joined = alice.call("JoinOrganization", organization_id=second_organization.organization.id)
        equal(sdk.role(joined.member), ADMIN)
        alice.call("DeleteOrganization", organization_id=second_organization.organization.id)

    with step("GetOrganization returns the organization"):
        equal(alice.call("GetOrganization", organization_id=org).organization.name, "Crew")

    with step("CreateOrganizationInvite returns a token"):
        token = server.secret(alice.call("CreateOrganizationInvite", organization_id=org).invite.invite_id)
        equal(uuid.UUID(token).version, 4, "the token's UUID version")

    with step("GetOrganizationInvite returns the same token"):
        equal(alice.call("GetOrganizationInvite", organization_id=org).invite.invite_id, token)

    with step("the invited account gets a preview of the organization"):
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
        for name in OTHER_MEMBERS:
            sdk.client(keys[name]).call("JoinOrganization", invite_id=token)
        equal(bob.call("GetOrganizationInviteSummary", invite_id=token).organization_member_count, 7)

    with step("ListMembers returns the caller first and then the others by name, on several pages"):
        listing = bob.members(organization_id=org, page_size=3)
        equal(emails(listing), ["bob", "alice", *OTHER_MEMBERS])
        equal(listing.pages, 3, "pages")

    with step("ListMembers returns all members on one page"):
        listing = bob.members(organization_id=org)
        equal((len(listing.members), listing.pages), (7, 1))

    with step("ListMembers sorts by name in descending order, on several pages"):
        sort = {"field": "SORT_FIELD_NAME", "order": "SORT_ORDER_DESC"}
        listing = bob.members(organization_id=org, page_size=2, sort=sort)
        equal(emails(listing), [*reversed(OTHER_MEMBERS), "bob", "alice"])
        equal(listing.pages, 4, "pages")

    with step("ListMembers sorts by the date of joining"):
        sort = {"field": "SORT_FIELD_DATE_JOINED", "order": "SORT_ORDER_ASC"}
        equal(emails(bob.members(organization_id=org, page_size=3, sort=sort)), ["alice", "bob", *OTHER_MEMBERS])

    for name, criteria, expected in [
        ("text in the name, without regard to case", {"search": "CAROL"}, ["carol"]),
        ("text in the address", {"search": "ave@EXAMPLE"}, ["dave"]),
        ("role", {"roles": [ADMIN]}, ["alice"]),
        ("status", {"statuses": ["USER_STATUS_SUSPENDED", "USER_STATUS_LEFT"]}, []),
        ("address", {"email": "erin@example.com"}, ["erin"]),
        ("text that no member has", {"search": "nobody of that name"}, []),
    ]:
        with step(f"ListMembers filters by {name}"):
            equal(emails(alice.members(organization_id=org, filter=criteria)), expected)

    with step("ListMembers filters by member ids"):
        equal(emails(alice.members(organization_id=org, filter={"user_ids": [joined.user_id, alice_id]})), ["alice", "bob"])

    with step("ListMembers returns the count only if the request asks for it"):
        equal(alice.members(organization_id=org, page_size=2, count={"include": True}).count, 7)
        equal(alice.members(organization_id=org, page_size=2).count, None)

    with step("RPCs for admins return PERMISSION_DENIED to a member"):
        for rpc, fields in [
            ("UpdateOrganization", {"name": "Mine now"}),
            ("DeleteOrganization", {}),
            ("SetRole", {"user_id": joined.user_id, "role": ADMIN}),
            ("CreateOrganizationInvite", {}),
            ("GetOrganizationInvite", {}),
        ]:
            with sdk.expect_error("permission_denied"):
                bob.call(rpc, organization_id=org, **fields)
        with sdk.expect_error("permission_denied"):
            bob.call("LeaveOrganization", user_id=alice_id)

    with step("RPCs return NOT_FOUND to an account that is not a member"):
        for rpc, fields in [
            ("GetOrganization", {}),
            ("UpdateOrganization", {"name": "Mine now"}),
            ("DeleteOrganization", {}),
            ("SetRole", {"user_id": alice_id, "role": MEMBER}),
            ("CreateOrganizationInvite", {}),
            ("GetOrganizationInvite", {}),
            ("JoinOrganization", {}),
        ]:
            with sdk.expect_error("not_found"):
                zoe.call(rpc, organization_id=org, **fields)
        with sdk.expect_error("not_found"):
            zoe.members(organization_id=org)
        with sdk.expect_error("not_found"):
            zoe.call("LeaveOrganization", user_id=alice_id)
        with sdk.expect_error("not_found"):
            zoe.call("GetOrganizationInviteSummary", invite_id=str(uuid.uuid4()))

    with step("invalid input returns INVALID_ARGUMENT"):
        with sdk.expect_error("invalid_argument"):
            alice.call("CreateOrganization", name="ab")
        with sdk.expect_error("invalid_argument"):
            alice.call("GetOrganization", organization_id="not a UUID")
        with sdk.expect_error("invalid_argument"):
            alice.call("JoinOrganization")
        with sdk.expect_error("invalid_argument"):
            alice.members(organization_id=org, page_size=101)
        with sdk.expect_error("invalid_argument"):
            alice.call("UpdateOrganization", organization_id=org, invite_domains={"domains": ["-.com"]})

    with step("a wrong key returns UNAUTHENTICATED"):
        wrong_key = keys["alice"][:-1] + ("0" if keys["alice"][-1] != "0" else "1")
        for key in (wrong_key, "not-a-key"):
            with sdk.expect_error("unauthenticated"):
                sdk.client(key).call("GetOrganization", organization_id=org)

    with step("the last admin cannot leave or lose the role (FAILED_PRECONDITION)"):
        with sdk.expect_error("failed_precondition"):
            alice.call("SetRole", organization_id=org, user_id=alice_id, role=MEMBER)
        with sdk.expect_error("failed_precondition"):
            alice.call("LeaveOrganization", user_id=alice_id)

    with step("SetRole makes a member an admin, and a member again"):
        alice.call("SetRole", organization_id=org, user_id=joined.user_id, role=ADMIN)
        equal(emails(alice.members(organization_id=org, filter={"roles": [ADMIN]})), ["alice", "bob"])
        bob.call("UpdateOrganization", organization_id=org, name="Crew of two admins")
        alice.call("SetRole", organization_id=org, user_id=joined.user_id, role=MEMBER)
        with sdk.expect_error("permission_denied"):
            bob.call("UpdateOrganization", organization_id=org, name="Crew of bob")

    with step("CreateOrganizationInvite replaces the token"):
        new_token = server.secret(alice.call("CreateOrganizationInvite", organization_id=org).invite.invite_id)
        assert new_token != token, "the token stayed the same"
        equal(alice.call("GetOrganizationInvite", organization_id=org).invite.invite_id, new_token)

    with step("the old token is rejected for preview and join (NOT_FOUND)"):
        with sdk.expect_error("not_found"):
            zoe.call("GetOrganizationInviteSummary", invite_id=token)
        with sdk.expect_error("not_found"):
            zoe.call("JoinOrganization", invite_id=token)

    with step("the new token works for preview and join"):
        equal(zoe.call("GetOrganizationInviteSummary", invite_id=new_token).organization_member_count, 7)
        zoe_member = zoe.call("JoinOrganization", invite_id=new_token).member
        equal(sdk.role(zoe_member), MEMBER)

    with step("UpdateOrganization changes the name and the domains separately"):
        domains = {"domains": ["example.com", "example.org"]}
        updated = alice.call("UpdateOrganization", organization_id=org, name="Crew and guests").organization
        equal(updated.name, "Crew and guests")
        updated = alice.call("UpdateOrganization", organization_id=org, invite_domains=domains).organization
        equal((updated.name, list(updated.invite_domains.domains)), ("Crew and guests", domains["domains"]))

    with step("UpdateOrganization rejects public mail domains (FAILED_PRECONDITION)"):
        with sdk.expect_error("failed_precondition"):
            alice.call("UpdateOrganization", organization_id=org, invite_domains={"domains": ["gmail.com"]})

    with step("an account joins by its mail domain"):
        domain_member = heidi.call("JoinOrganization", organization_id=org).member
        equal(sdk.role(domain_member), MEMBER)

    with step("a member that an admin removes cannot join again by token or mail domain (NOT_FOUND)"):
        alice.call("LeaveOrganization", user_id=domain_member.user_id)
        with sdk.expect_error("not_found"):
            heidi.call("GetOrganization", organization_id=org)
        with sdk.expect_error("not_found"):
            heidi.call("JoinOrganization", organization_id=org)
        with sdk.expect_error("not_found"):
            heidi.call("JoinOrganization", invite_id=new_token)

    with step("UpdateOrganization removes all domains"):
        cleared = alice.call("UpdateOrganization", organization_id=org, invite_domains={"domains": []}).organization
        equal(list(cleared.invite_domains.domains) if sdk.has_field(cleared, "invite_domains") else [], [])

    with step("a member leaves, and is listed as a former member"):
        bob.call("LeaveOrganization", user_id=joined.user_id)
        with sdk.expect_error("not_found"):
            bob.call("GetOrganization", organization_id=org)
        with sdk.expect_error("not_found"):
            alice.call("LeaveOrganization", user_id=joined.user_id)
        former_members = alice.members(organization_id=org, filter={"statuses": ["USER_STATUS_LEFT"], "search": "bob"})
        equal([member.user_id for member in former_members.members], [joined.user_id])

    with step("an account that left joins again, as a new member"):
        rejoined = bob.call("JoinOrganization", invite_id=new_token).member
        assert rejoined.user_id != joined.user_id, "the member id is the old one"

    with step("DeleteOrganization deletes the organization, and later calls return NOT_FOUND"):
        alice.call("DeleteOrganization", organization_id=org)
        for rpc in ("GetOrganization", "DeleteOrganization", "CreateOrganizationInvite"):
            with sdk.expect_error("not_found"):
                alice.call(rpc, organization_id=org)
        with sdk.expect_error("not_found"):
            heidi.call("GetOrganizationInviteSummary", invite_id=new_token)
        with sdk.expect_error("not_found"):
            heidi.call("JoinOrganization", invite_id=new_token)
