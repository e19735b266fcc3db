// Stream a run with Java's own HTTP client, then read its steps: java Assistant.java
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Pattern;
import java.util.stream.Stream;

public class Assistant {
    private static final String BASE = System.getenv("OPENAI_BASE_URL");
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws IOException, InterruptedException {
        String assistant = field("id", post("/assistants", "{\"model\": \"gpt-4o\"}"));
        String thread = field("id", post("/threads", """
            {"messages": [{"role": "user", "content": "Tell me a story."}]}"""));
        String runs = "/threads/" + thread + "/runs";
        String body = "{\"assistant_id\": \"" + assistant + "\", \"stream\": true}";

        String run = null;
        HttpRequest request = request(runs).POST(HttpRequest.BodyPublishers.ofString(body)).build();
        Stream<String> lines = CLIENT.send(request, HttpResponse.BodyHandlers.ofLines()).body();
        for (String line : (Iterable<String>) lines::iterator) {
            if (run == null && line.startsWith("data: ")) {
                run = field("id", line);
            } else if (line.contains("\"object\":\"thread.message.delta\"")) {
                System.out.print(field("value", line));
            }
        }

        HttpRequest steps = request(runs + "/" + run + "/steps").GET().build();
        String listed = CLIENT.send(steps, HttpResponse.BodyHandlers.ofString()).body();
        System.out.println("\n" + field("status", listed.substring(listed.indexOf("\"type\":"))));
    }

    private static String post(String path, String body) throws IOException, InterruptedException {
        HttpRequest request = request(path).POST(HttpRequest.BodyPublishers.ofString(body)).build();
        HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException(answer.body());
        }
        return answer.body();
    }

    private static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(BASE + path))
            .header("Authorization", "Bearer " + System.getenv("OPENAI_API_KEY"))
            .header("OpenAI-Beta", "assistants=v2")
            .header("Content-Type", "application/json");
    }

    /** The first field of that name. A program of your own would use a JSON library. */
    private static String field(String name, String json) {
        var found = Pattern.compile("\"" + name + "\": ?\"([^\"]*)\"").matcher(json);
        if (!found.find()) {
            throw new IllegalStateException("no " + name + " in " + json);
        }
        return found.group(1);
    }
}
