// Verifies webhook requests with the Standard Webhooks module. Reads one request from each line, in JSON:
// `{secret, headers, body}`. Prints `ok`, or the module's error.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type request struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func verify(one request) error {
	webhook, err := standardwebhooks.NewWebhook(one.Secret)
	if err != nil {
		return err
	}
	headers := http.Header{}
	for name, value := range one.Headers {
		headers.Set(name, value)
	}
	return webhook.Verify([]byte(one.Body), headers)
}

func main() {
	for lines := json.NewDecoder(os.Stdin); lines.More(); {
		var one request
		if err := lines.Decode(&one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := verify(one); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("ok")
		}
	}
}
