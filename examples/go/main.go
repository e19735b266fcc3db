// Ask, poll, and read the answer and its steps, with Go's own library.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type run struct {
	ID       string `json:"id"`
	ThreadID string `json:"thread_id"`
	Status   string `json:"status"`
}

type page struct {
	Data []struct {
		Type    string `json:"type"`
		Status  string `json:"status"`
		Content []struct {
			Text struct {
				Value string `json:"value"`
			} `json:"text"`
		} `json:"content"`
	} `json:"data"`
}

// ask sends a body, or reads where there is none, and decodes the answer.
func ask(path string, body any, into any) {
	method, encoded := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		encoded, _ = json.Marshal(body)
	}
	request, err := http.NewRequest(method, os.Getenv("OPENAI_BASE_URL")+path, bytes.NewReader(encoded))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	request.Header.Set("OpenAI-Beta", "assistants=v2")
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		log.Fatalf("%s %s: %s", method, path, answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		log.Fatal(err)
	}
}

func main() {
	var assistant struct {
		ID string `json:"id"`
	}
	ask("/assistants", map[string]any{"model": "gpt-4o"}, &assistant)

	var current run
	messages := []map[string]string{{"role": "user", "content": "Good morning."}}
	ask("/threads/runs", map[string]any{
		"assistant_id": assistant.ID,
		"thread":       map[string]any{"messages": messages},
	}, &current)
	path := "/threads/" + current.ThreadID + "/runs/" + current.ID
	for current.Status == "queued" || current.Status == "in_progress" {
		time.Sleep(100 * time.Millisecond)
		ask(path, nil, &current)
	}
	fmt.Println(current.Status)

	var said, steps page
	ask("/threads/"+current.ThreadID+"/messages", nil, &said)
	fmt.Println(said.Data[0].Content[0].Text.Value)
	ask(path+"/steps", nil, &steps)
	for _, step := range steps.Data {
		fmt.Println(step.Type, step.Status)
	}
}
