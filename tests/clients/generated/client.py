"""Uses a generated client: runs the README's example, or reads the feed after a cursor. Prints its result as JSON."""

import json
import sys

from google.protobuf.duration_pb2 import Duration

from gitpod.v1 import organization_pb2 as gitpod
from gitpod.v1.organization_connect import OrganizationServiceClientSync
from guestlist.v1 import event_pb2
from guestlist.v1.event_connect import EventServiceClientSync

url, phase, ana, *arguments = sys.argv[1:]
organizations, event_client = OrganizationServiceClientSync(url), EventServiceClientSync(url)


def credential(key):
    return {"headers": {"authorization": f"Bearer {key}"}}


def to_dict(message):
    return {"types": [event.type for event in message.events], "cursor": message.cursor}


def list_events(organization, cursor, wait):
    request = event_pb2.ListEventsRequest(
        organization_id=organization, cursor=cursor, wait=Duration(seconds=int(wait)))
    return to_dict(event_client.list_events(request, **credential(ana)))


def watch(organization, cursor):
    request = event_pb2.WatchRequest(organization_id=organization, cursor=cursor)
    for message in event_client.watch(request, timeout_ms=30_000, **credential(ana)):
        print(json.dumps(to_dict(message)), flush=True)
        if message.events:
            return
    sys.exit("the stream has ended without an event")


if phase == "story":
    ben = arguments[0]
    created = organizations.create_organization(
        gitpod.CreateOrganizationRequest(name="Acme", join_organization=True), **credential(ana))
    organization = created.organization.id
    cursor = list_events(organization, "", 0)["cursor"]
    invite = organizations.create_organization_invite(
        gitpod.CreateOrganizationInviteRequest(organization_id=organization), **credential(ana))
    token = invite.invite.invite_id
    summary = organizations.get_organization_invite_summary(
        gitpod.GetOrganizationInviteSummaryRequest(invite_id=token), **credential(ben))
    organizations.join_organization(gitpod.JoinOrganizationRequest(invite_id=token), **credential(ben))
    members_response = organizations.list_members(
        gitpod.ListMembersRequest(organization_id=organization), **credential(ana))
    print(json.dumps({
        "organization": organization, "name": summary.organization_name, "token": token,
        "members": sorted(member.email for member in members_response.members), "cursor": cursor}))
elif phase == "watch":
    watch(*arguments)
else:
    print(json.dumps(list_events(*arguments)))
