import java.net.CookieManager;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** The life of a session with java.net.http, whose CookieManager keeps the cookie. */
public class WithHttpClient {
    static final String JSON = "application/json";
    static final String SESSION =
            System.getenv().getOrDefault("SESSION_API", "http://localhost:8080") + "/api/session";
    static final CookieManager cookies = new CookieManager();
    static final HttpClient client =
            HttpClient.newBuilder().cookieHandler(cookies).connectTimeout(Duration.ofSeconds(30)).build();

    static HttpResponse<String> call(String method, String path, String type, String body, String... headers)
            throws Exception {
        var request = HttpRequest.newBuilder(URI.create(SESSION + path))
                .timeout(Duration.ofSeconds(30))
                .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        if (body != null) {
            request.header("Content-Type", type);
        }
        if (headers.length > 0) {
            request.headers(headers);
        }
        return client.send(request.build(), BodyHandlers.ofString());
    }

    /** One member of a document or problem. A program of your own uses a JSON library. */
    static String member(HttpResponse<String> answer, String name) {
        var found = Pattern.compile('"' + name + "\":(\"[^\"]*\"|\\{.*?\\}|[^,}]+)").matcher(answer.body());
        return found.find() ? found.group(1).replace("\"", "") : "no " + name;
    }

    public static void main(String[] args) throws Exception {
        var answer = call("GET", "", null, null);
        System.out.println("nobody: " + answer.statusCode() + " " + member(answer, "code"));

        var created = call("POST", "", JSON, "{\"inputs\": {\"step\": 1}}");
        System.out.println("created: " + created.statusCode() + " " + member(created, "inputs"));

        answer = call("GET", "", null, null);
        boolean same = member(answer, "id").equals(member(created, "id"));
        System.out.println("read: " + answer.statusCode() + (same ? " the same session" : " another session"));

        // Change it only as it was read: the ETag is taken as it came.
        String etag = created.headers().firstValue("ETag").orElseThrow();
        answer = call("PUT", "", JSON, "{\"inputs\": {\"step\": 2}}", "If-Match", etag);
        System.out.println("replaced: " + answer.statusCode() + " " + member(answer, "inputs"));
        answer = call("PUT", "", JSON, "{\"inputs\": {\"step\": 3}}", "If-Match", etag);
        System.out.println("too late: " + answer.statusCode() + " " + member(answer, "code"));

        answer = call("PATCH", "", "application/merge-patch+json", "{\"results\": {\"files\": [\"a.csv\"]}}");
        System.out.println("patched: " + answer.statusCode() + " " + member(answer, "results"));

        answer = call("POST", "/operations", "application/json-patch+json",
                "[{\"op\": \"add\", \"path\": \"/results/files/-\", \"value\": \"b.csv\"}]");
        System.out.println("appended: " + answer.statusCode() + " " + member(answer, "results"));

        var touched = call("POST", "/touch", JSON, "{\"ttlMs\": 3600000}");
        boolean sooner = member(touched, "expiresAt").compareTo(member(answer, "expiresAt")) < 0;
        System.out.println("touched: " + touched.statusCode() + (sooner ? " sooner" : " not sooner"));

        answer = call("POST", "/regenerate", null, null);
        same = member(answer, "id").equals(member(created, "id"));
        System.out.println("regenerated: " + answer.statusCode() + (same ? " the same id" : " another id"));

        var refusals = new TreeSet<String>();
        for (int i = 0; i < 6; i++) {
            answer = call("PUT", "", JSON, "{\"inputs\": {\"text\": \"" + "x".repeat(3_000_000) + "\"}}");
            refusals.add(answer.statusCode() + " " + member(answer, "code"));
        }
        System.out.println("too large: " + String.join(", ", refusals));

        call("PUT", "", JSON, "{\"meta\": {\"big\": 12345678901234567890}}");
        answer = call("GET", "", null, null);
        System.out.println("digits: " + answer.statusCode() + " " + member(answer, "big"));

        answer = call("DELETE", "", null, null);
        int left = cookies.getCookieStore().getCookies().size();
        System.out.println("signed out: " + answer.statusCode() + " " + left + " cookies");
        answer = call("GET", "", null, null);
        System.out.println("nobody again: " + answer.statusCode() + " " + member(answer, "code"));
    }
}
