// Verify the messages on standard input, one JSON list of [secret, headers, body], with the public library of Go.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func verify(parts []json.RawMessage) (bool, error) {
	var secret, body string
	var named map[string]string
	for index, target := range []any{&secret, &named, &body} {
		if err := json.Unmarshal(parts[index], target); err != nil {
			return false, err
		}
	}
	headers := http.Header{}
	for name, value := range named {
		headers.Set(name, value)
	}
	webhook, err := standardwebhooks.NewWebhookRaw([]byte(secret))
	if strings.HasPrefix(secret, "whsec_") {
		webhook, err = standardwebhooks.NewWebhook(secret)
	}
	if err != nil {
		return false, err
	}
	return webhook.Verify([]byte(body), headers) == nil, nil
}

func main() {
	var messages [][]json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&messages); err != nil {
		log.Fatal(err)
	}
	accepted := []bool{}
	for _, parts := range messages {
		is, err := verify(parts)
		if err != nil {
			log.Fatal(err)
		}
		accepted = append(accepted, is)
	}
	if err := json.NewEncoder(os.Stdout).Encode(accepted); err != nil {
		log.Fatal(err)
	}
}
