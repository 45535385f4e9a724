"""The bytes of requests, and the sizes of good answers, on each protocol."""

import json
import struct
import urllib.parse

SERVICE = "/gitpod.v1.OrganizationService"
SUMMARY = f"{SERVICE}/GetOrganizationInviteSummary"
CREATE = f"{SERVICE}/CreateOrganizationInvite"
GET = f"{SERVICE}/GetOrganizationInvite"
MEMBERSHIP = "/guestlist.v1.MemberService/GetMembership"
MEMBERSHIPS = "/guestlist.v1.MemberService/BatchGetMemberships"
ADD_MEMBER = "/guestlist.v1.MemberService/AddMember"
CREATE_WEBHOOK = "/guestlist.v1.WebhookService/CreateWebhook"
LIST_MEMBERS = f"{SERVICE}/ListMembers"
DELETE = f"{SERVICE}/DeleteOrganization"
INVITE_BY_EMAIL = "/guestlist.v1.InviteService/InviteByEmail"
LIST_INVITES = "/guestlist.v1.InviteService/List"

# Joining over REST. The path has all data of the request.
JOIN_ROUTE = "POST /v1/orgs/{organizationId}/invites/{inviteId}"
NOTHING = b"{}"  # an empty JSON message; h2load cannot send a POST without a body

GRPC = {"content-type": "application/grpc", "te": "trailers"}
GRPC_WEB = {"content-type": "application/grpc-web+proto", "accept": "application/grpc-web+proto", "x-grpc-web": "1"}
JSON = {"content-type": "application/json"}


def text(number, value):
    """A protobuf field with a text, or with the bytes of an embedded message."""
    raw = value.encode() if isinstance(value, str) else value
    assert len(raw) < 128, "the length does not fit into one byte"
    return bytes([number << 3 | 2, len(raw)]) + raw


def frame(message):
    """An uncompressed message in the frame of gRPC."""
    return struct.pack(">BI", 0, len(message)) + message


def by_id(id):
    """A request whose only field is an id."""
    return frame(text(1, id))


PAGE = b"\x08\x32"  # the first page, with 50 items


def invites_of(organization):
    return frame(text(1, organization) + text(3, PAGE))


def members_of(organization):
    return frame(text(1, PAGE) + text(2, organization))


def memberships_of(keys):
    """A request for many pairs of an organization and an account."""
    return frame(b"".join(text(1, text(1, organization) + text(2, account)) for organization, account in keys))


def join_path(organization, token):
    return f"/v1/orgs/{organization}/invites/{token}"


def summary_size(name):
    """The size in bytes of a good answer's DATA frames; an error has no data."""
    organization = "0" * 36
    return len(frame(text(1, organization) + text(2, name) + b"\x18\x01"))


CREATED_SIZE = len(frame(text(1, text(1, "0" * 36))))


def json_by_id(id):
    return json.dumps({"inviteId": id}).encode()


def connect_get(id):
    """The path of a GetOrganizationInviteSummary by Connect's GET."""
    query = {"connect": "v1", "encoding": "json", "message": json.dumps({"inviteId": id}, separators=(",", ":"))}
    return f"{SUMMARY}?{urllib.parse.urlencode(query)}"
