import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.net.CookieHandler;
import java.net.CookieManager;
import java.net.HttpURLConnection;
import java.net.URL;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * The life of a session with HttpURLConnection, for which the CookieManager is set once for the
 * whole program. It does not know the method PATCH: what a merge patch would do, operations do.
 */
public class WithUrlConnection {
    static final String JSON = "application/json";
    static final String SESSION =
            System.getenv().getOrDefault("SESSION_API", "http://localhost:8080") + "/api/session";

    record Answer(int status, String etag, String body) {
        /** One member of a document or problem. A program of your own uses a JSON library. */
        String member(String name) {
            var found = Pattern.compile('"' + name + "\":(\"[^\"]*\"|\\{.*?\\}|[^,}]+)").matcher(body);
            return found.find() ? found.group(1).replace("\"", "") : "no " + name;
        }
    }

    static Answer call(String method, String path, String type, String body, String condition) throws IOException {
        var connection = (HttpURLConnection) new URL(SESSION + path).openConnection();
        connection.setRequestMethod(method);
        connection.setConnectTimeout(30_000);
        connection.setReadTimeout(30_000);
        if (condition != null) {
            connection.setRequestProperty("If-Match", condition);
        }
        if (body != null) {
            connection.setRequestProperty("Content-Type", type);
            connection.setDoOutput(true);
            connection.getOutputStream().write(body.getBytes(UTF_8));
        }
        int status = connection.getResponseCode();
        try (InputStream in = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            String text = in == null ? "" : new String(in.readAllBytes(), UTF_8);
            return new Answer(status, connection.getHeaderField("ETag"), text);
        }
    }

    static Answer operations(String list) throws IOException {
        return call("POST", "/operations", "application/json-patch+json", list, null);
    }

    public static void main(String[] args) throws IOException {
        var cookies = new CookieManager();
        CookieHandler.setDefault(cookies);

        var answer = call("GET", "", null, null, null);
        System.out.println("nobody: " + answer.status + " " + answer.member("code"));

        var created = call("POST", "", JSON, "{\"inputs\": {\"step\": 1}}", null);
        System.out.println("created: " + created.status + " " + created.member("inputs"));

        answer = call("GET", "", null, null, null);
        boolean same = answer.member("id").equals(created.member("id"));
        System.out.println("read: " + answer.status + (same ? " the same session" : " another session"));

        // Change it only as it was read: the ETag is taken as it came.
        answer = call("PUT", "", JSON, "{\"inputs\": {\"step\": 2}}", created.etag);
        System.out.println("replaced: " + answer.status + " " + answer.member("inputs"));
        answer = call("PUT", "", JSON, "{\"inputs\": {\"step\": 3}}", created.etag);
        System.out.println("too late: " + answer.status + " " + answer.member("code"));

        answer = operations("[{\"op\": \"add\", \"path\": \"/results/files\", \"value\": [\"a.csv\"]}]");
        System.out.println("patched: " + answer.status + " " + answer.member("results"));
        answer = operations("[{\"op\": \"add\", \"path\": \"/results/files/-\", \"value\": \"b.csv\"}]");
        System.out.println("appended: " + answer.status + " " + answer.member("results"));

        var touched = call("POST", "/touch", JSON, "{\"ttlMs\": 3600000}", null);
        boolean sooner = touched.member("expiresAt").compareTo(answer.member("expiresAt")) < 0;
        System.out.println("touched: " + touched.status + (sooner ? " sooner" : " not sooner"));

        answer = call("POST", "/regenerate", JSON, "{}", null);
        same = answer.member("id").equals(created.member("id"));
        System.out.println("regenerated: " + answer.status + (same ? " the same id" : " another id"));

        var refusals = new TreeSet<String>();
        for (int i = 0; i < 6; i++) {
            answer = call("PUT", "", JSON, "{\"inputs\": {\"text\": \"" + "x".repeat(3_000_000) + "\"}}", null);
            refusals.add(answer.status + " " + answer.member("code"));
        }
        System.out.println("too large: " + String.join(", ", refusals));

        call("PUT", "", JSON, "{\"meta\": {\"big\": 12345678901234567890}}", null);
        answer = call("GET", "", null, null, null);
        System.out.println("digits: " + answer.status + " " + answer.member("big"));

        answer = call("DELETE", "", null, null, null);
        int left = cookies.getCookieStore().getCookies().size();
        System.out.println("signed out: " + answer.status + " " + left + " cookies");
        answer = call("GET", "", null, null, null);
        System.out.println("nobody again: " + answer.status + " " + answer.member("code"));
    }
}
