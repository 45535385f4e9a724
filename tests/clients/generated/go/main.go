// Uses a generated client: runs the README's example, or reads the feed after a cursor. Prints its result as JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"sort"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	gitpod "example.com/client/gen/gitpod/v1"
	"example.com/client/gen/gitpod/v1/gitpodv1connect"
	guestlist "example.com/client/gen/guestlist/v1"
	"example.com/client/gen/guestlist/v1/guestlistv1connect"
)

var url = os.Args[1]

func with[T any](key string, message *T) *connect.Request[T] {
	request := connect.NewRequest(message)
	request.Header().Set("authorization", "Bearer "+key)
	return request
}

func must[T any](response *connect.Response[T], err error) *T {
	if err != nil {
		log.Fatal(err)
	}
	return response.Msg
}

func shown(events []*guestlist.Event, cursor string) map[string]any {
	types := []string{}
	for _, event := range events {
		types = append(types, event.Type)
	}
	return map[string]any{"types": types, "cursor": cursor}
}

func read(key, organization, cursor string, wait time.Duration) map[string]any {
	feed := guestlistv1connect.NewEventServiceClient(http.DefaultClient, url)
	request := &guestlist.ListEventsRequest{OrganizationId: organization, Cursor: cursor, Wait: durationpb.New(wait)}
	response := must(feed.ListEvents(context.Background(), with(key, request)))
	return shown(response.Events, response.Cursor)
}

// Prints the messages of the stream before the first message with events, and returns that message.
func watch(key, organization, cursor string) map[string]any {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	feed := guestlistv1connect.NewEventServiceClient(http.DefaultClient, url)
	request := &guestlist.WatchRequest{OrganizationId: organization, Cursor: cursor}
	messages, err := feed.Watch(ctx, with(key, request))
	if err != nil {
		log.Fatal(err)
	}
	for messages.Receive() {
		message := shown(messages.Msg().Events, messages.Msg().Cursor)
		if len(messages.Msg().Events) > 0 {
			return message
		}
		printed(message)
	}
	log.Fatal("the stream has ended without an event: ", messages.Err())
	return nil
}

func printed(result map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}

func story(ana, ben string) map[string]any {
	ctx := context.Background()
	client := gitpodv1connect.NewOrganizationServiceClient(http.DefaultClient, url)
	made := must(client.CreateOrganization(ctx, with(ana, &gitpod.CreateOrganizationRequest{Name: "Acme", JoinOrganization: true})))
	organization := made.Organization.Id
	cursor := read(ana, organization, "", 0)["cursor"].(string)
	invite := must(client.CreateOrganizationInvite(ctx, with(ana, &gitpod.CreateOrganizationInviteRequest{OrganizationId: organization})))
	token := invite.Invite.InviteId
	summary := must(client.GetOrganizationInviteSummary(ctx, with(ben, &gitpod.GetOrganizationInviteSummaryRequest{InviteId: token})))
	join := &gitpod.JoinOrganizationRequest{JoinId: &gitpod.JoinOrganizationRequest_InviteId{InviteId: token}}
	must(client.JoinOrganization(ctx, with(ben, join)))
	listed := must(client.ListMembers(ctx, with(ana, &gitpod.ListMembersRequest{OrganizationId: organization})))
	members := []string{}
	for _, member := range listed.Members {
		members = append(members, member.Email)
	}
	sort.Strings(members)
	return map[string]any{
		"organization": organization, "name": summary.OrganizationName, "token": token, "members": members, "cursor": cursor,
	}
}

func main() {
	switch ana := os.Args[3]; os.Args[2] {
	case "story":
		printed(story(ana, os.Args[4]))
	case "watch":
		printed(watch(ana, os.Args[4], os.Args[5]))
	default:
		wait, err := time.ParseDuration(os.Args[6] + "s")
		if err != nil {
			log.Fatal(err)
		}
		printed(read(ana, os.Args[4], os.Args[5], wait))
	}
}
