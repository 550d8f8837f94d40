package dev.fogline.flink;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** A record of the output topic: a window ({@code frame::Window}), or a camera's end ({@code frame::CameraEnd}). */
public final class Result {
    private static final long NS_PER_MS = 1_000_000;

    /** The record's key. */
    public String camera;
    /** The record's value: one JSON object. */
    public byte[] json;
    /** The record's time, milliseconds since the Unix epoch. */
    public long timeUnixMs;
    /** Whether it is an end record; such a one has the headers of an end marker. */
    public boolean last;
    /** Of an end record: the number of the camera's windows. */
    public long sequence;
    /** Of an end record: the marker's capture time. */
    public long capturedUnixNs;

    static Result window(String camera, long start, long end, OpenWindow window, long late, boolean last) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("camera", camera);
        json.put("start_unix_ns", start);
        json.put("end_unix_ns", end);
        json.put("frames", window.frames);
        json.put("counted", window.counted);
        json.put("people_mean", window.counted == 0 ? 0.0 : (double) window.people / (double) window.counted);
        json.put("people_max", window.peopleMax);
        json.put("late", late);
        json.put("counter", window.counter.isEmpty() ? "none" : window.counter);
        json.put("first_captured_unix_ns", window.firstCapturedUnixNs);
        json.put("last_captured_unix_ns", window.lastCapturedUnixNs);
        json.put("first_sequence", unsigned(window.firstSequence));
        json.put("last_sequence", unsigned(window.lastSequence));
        ObjectNode error = json.putObject("error");
        error.put("frames", window.errorFrames);
        error.put("absolute_sum", window.errorAbsoluteSum);
        error.put("signed_sum", window.errorSignedSum);
        json.put("last", last);
        return of(camera, json, end / NS_PER_MS);
    }

    static Result end(String name, Camera camera, Map<String, Long> dropped, long capturedUnixNs) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("camera", name);
        json.put("windows", camera.windows);
        json.put("frames_in", camera.framesIn);
        json.put("frames_out", camera.framesOut);
        json.put("duplicates", camera.duplicates);
        ObjectNode reasons = json.putObject("dropped");
        dropped.forEach(reasons::put);
        Result result = of(name, json, Long.divideUnsigned(capturedUnixNs, NS_PER_MS));
        result.last = true;
        result.sequence = camera.windows;
        result.capturedUnixNs = capturedUnixNs;
        return result;
    }

    private static Result of(String camera, ObjectNode json, long timeUnixMs) {
        Result result = new Result();
        result.camera = camera;
        result.json = json.toString().getBytes(StandardCharsets.UTF_8);
        result.timeUnixMs = timeUnixMs;
        return result;
    }

    private static BigInteger unsigned(long number) {
        return new BigInteger(Long.toUnsignedString(number));
    }
}
