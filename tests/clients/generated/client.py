"""Uses a generated client: runs the README's example, or reads the feed after a cursor. Prints its result as JSON."""

import json
import sys

from google.protobuf.duration_pb2 import Duration

from gitpod.v1 import organization_pb2 as gitpod
from gitpod.v1.organization_connect import OrganizationServiceClientSync
from guestlist.v1 import event_pb2
from guestlist.v1.event_connect import EventServiceClientSync

url, phase, ana, *more = sys.argv[1:]
organizations, feed = OrganizationServiceClientSync(url), EventServiceClientSync(url)


def credential(key):
    return {"headers": {"authorization": f"Bearer {key}"}}


def shown(message):
    return {"types": [event.type for event in message.events], "cursor": message.cursor}


def read(organization, cursor, wait):
    request = event_pb2.ListEventsRequest(
        organization_id=organization, cursor=cursor, wait=Duration(seconds=int(wait)))
    return shown(feed.list_events(request, **credential(ana)))


def watch(organization, cursor):
    request = event_pb2.WatchRequest(organization_id=organization, cursor=cursor)
    for message in feed.watch(request, timeout_ms=30_000, **credential(ana)):
        print(json.dumps(shown(message)), flush=True)
        if message.events:
            return
    sys.exit("the stream has ended without an event")


if phase == "story":
    ben = more[0]
    made = organizations.create_organization(
        gitpod.CreateOrganizationRequest(name="Acme", join_organization=True), **credential(ana))
    organization = made.organization.id
    cursor = read(organization, "", 0)["cursor"]
    invite = organizations.create_organization_invite(
        gitpod.CreateOrganizationInviteRequest(organization_id=organization), **credential(ana))
    token = invite.invite.invite_id
    summary = organizations.get_organization_invite_summary(
        gitpod.GetOrganizationInviteSummaryRequest(invite_id=token), **credential(ben))
    organizations.join_organization(gitpod.JoinOrganizationRequest(invite_id=token), **credential(ben))
    listed = organizations.list_members(
        gitpod.ListMembersRequest(organization_id=organization), **credential(ana))
    print(json.dumps({
        "organization": organization, "name": summary.organization_name, "token": token,
        "members": sorted(member.email for member in listed.members), "cursor": cursor}))
elif phase == "watch":
    watch(*more)
else:
    print(json.dumps(read(*more)))
