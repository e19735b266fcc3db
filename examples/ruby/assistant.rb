# Ask, poll, and read the answer and its steps, with Ruby's own library.
require "json"
require "net/http"

BASE = ENV.fetch("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
HEADERS = {
  "Authorization" => "Bearer #{ENV.fetch("OPENAI_API_KEY")}",
  "OpenAI-Beta" => "assistants=v2",
  "Content-Type" => "application/json"
}.freeze
ENDED = %w[completed incomplete failed cancelled expired requires_action].freeze

def ask(path, body = nil)
  uri = URI(BASE + path)
  answer = body ? Net::HTTP.post(uri, body.to_json, HEADERS) : Net::HTTP.get_response(uri, HEADERS)
  raise answer.body unless answer.is_a?(Net::HTTPSuccess)

  JSON.parse(answer.body)
end

assistant = ask("/assistants", { model: "gpt-4o" })
run = ask("/threads/runs", {
  assistant_id: assistant["id"],
  thread: { messages: [{ role: "user", content: "Good morning." }] }
})
path = "/threads/#{run["thread_id"]}/runs/#{run["id"]}"
until ENDED.include?(run["status"])
  sleep 0.1
  run = ask(path)
end

puts run["status"]
puts ask("/threads/#{run["thread_id"]}/messages")["data"][0]["content"][0]["text"]["value"]
ask("#{path}/steps")["data"].each { |step| puts "#{step["type"]} #{step["status"]}" }
