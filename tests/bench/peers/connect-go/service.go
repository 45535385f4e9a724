package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	gitpodv1 "connect-go/gen/gitpod/v1"
	"connect-go/gen/gitpod/v1/gitpodv1connect"
)

type service struct {
	gitpodv1connect.UnimplementedOrganizationServiceHandler
	store  Store
	sealer *sealer
}

func (s *service) GetOrganizationInviteSummary(
	ctx context.Context, request *connect.Request[gitpodv1.GetOrganizationInviteSummaryRequest],
) (*connect.Response[gitpodv1.GetOrganizationInviteSummaryResponse], error) {
	token, err := parse("invite_id", request.Msg.InviteId)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(token[:])
	found, err := s.store.Preview(ctx, hash[:], time.Now().UnixMicro())
	if err != nil {
		return nil, refusal(err)
	}
	return connect.NewResponse(&gitpodv1.GetOrganizationInviteSummaryResponse{
		OrganizationId:          found.Organization.String(),
		OrganizationName:        found.Name,
		OrganizationMemberCount: found.MemberCount,
	}), nil
}

func (s *service) CreateOrganizationInvite(
	ctx context.Context, request *connect.Request[gitpodv1.CreateOrganizationInviteRequest],
) (*connect.Response[gitpodv1.CreateOrganizationInviteResponse], error) {
	organization, err := parse("organization_id", request.Msg.OrganizationId)
	if err != nil {
		return nil, err
	}
	change, err := newRotation(callerOf(ctx), organization, s.sealer)
	if err != nil {
		return nil, err
	}
	if err := s.store.Rotate(ctx, change); err != nil {
		return nil, refusal(err)
	}
	return connect.NewResponse(&gitpodv1.CreateOrganizationInviteResponse{
		Invite: &gitpodv1.OrganizationInvite{InviteId: change.token.String()},
	}), nil
}

func parse(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return id, connect.NewError(connect.CodeInvalidArgument, errors.New(field+" must be a UUID"))
	}
	return id, nil
}

func refusal(err error) error {
	switch {
	case errors.Is(err, errNotFound):
		return connect.NewError(connect.CodeNotFound, err)
	case errors.Is(err, errNotAllowed):
		return connect.NewError(connect.CodePermissionDenied, err)
	default:
		return err
	}
}
