// Receive orders in Go: verify with the public Standard Webhooks library, store each event once.
//
//	WEBHOOK_SECRET=whsec_… go run .
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const maxBodyBytes = 1 << 20

type event struct {
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
}

type order struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
}

// store is a file that stands for your database: one line for each event, with its id and the order, so both are stored or
// neither is.
type store struct {
	mutex  sync.Mutex
	file   *os.File
	seen   map[string]bool
	orders []string
}

// openStore reads the lines of the file. What follows the last line break was cut by a crash and is removed: it was never
// responded to with 2xx.
func openStore(name string) (*store, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	opened := &store{file: file, seen: map[string]bool{}, orders: []string{}}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	lines := bufio.NewScanner(bytes.NewReader(whole))
	lines.Buffer(nil, 2*maxBodyBytes)
	for lines.Scan() {
		stored, bought, err := parse(lines.Bytes())
		if err != nil {
			return nil, err
		}
		opened.remember(stored, bought)
	}
	if err := file.Truncate(int64(len(whole))); err != nil {
		return nil, err
	}
	_, err = file.Seek(int64(len(whole)), io.SeekStart)
	return opened, err
}

func parse(text []byte) (event, order, error) {
	var arrived event
	var bought order
	if err := json.Unmarshal(text, &arrived); err != nil {
		return arrived, bought, err
	}
	return arrived, bought, json.Unmarshal(arrived.Data, &bought)
}

func (s *store) remember(arrived event, bought order) {
	s.seen[arrived.ID] = true
	s.orders = append(s.orders, bought.ID)
}

// handle stores the order of an event, unless the event was handled before.
func (s *store) handle(body []byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	arrived, bought, err := parse(body)
	if err != nil || s.seen[arrived.ID] {
		return err
	}
	line, err := json.Marshal(arrived)
	if err != nil {
		return err
	}
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.remember(arrived, bought)
	return nil
}

func newWebhook(secret string) (*standardwebhooks.Webhook, error) {
	if strings.HasPrefix(secret, "whsec_") {
		return standardwebhooks.NewWebhook(secret)
	}
	return standardwebhooks.NewWebhookRaw([]byte(secret)) // a secret without the prefix is its own bytes
}

// orderCreated verifies the raw body, handles the event and responds 204. An error in between is a 500: packhook tries again.
func orderCreated(webhook *standardwebhooks.Webhook, orders *store) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maxBodyBytes))
		if err != nil {
			http.Error(response, "the body cannot be read, or is too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err := webhook.Verify(body, request.Header); err != nil {
			http.Error(response, err.Error(), http.StatusUnauthorized)
			return
		}
		if err := orders.handle(body); err != nil {
			log.Print(err)
			http.Error(response, "the event was not handled", http.StatusInternalServerError)
			return
		}
		response.WriteHeader(http.StatusNoContent)
	}
}

func (s *store) list(response http.ResponseWriter, _ *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	response.Header().Set("content-type", "application/json")
	if err := json.NewEncoder(response).Encode(s.orders); err != nil {
		log.Print(err)
	}
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func main() {
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" {
		log.Fatal("set WEBHOOK_SECRET")
	}
	webhook, err := newWebhook(secret)
	if err != nil {
		log.Fatal(err)
	}
	orders, err := openStore(environment("DATABASE", "orders.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /order-created", orderCreated(webhook, orders))
	http.HandleFunc("GET /orders", orders.list)
	listener, err := net.Listen("tcp", "127.0.0.1:"+environment("PORT", "9000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
