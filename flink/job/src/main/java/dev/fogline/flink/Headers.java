package dev.fogline.flink;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.header.Header;

/** The header of a frame as record headers, by the rules of the Rust crate {@code frame} ({@code Header::from_pairs}). */
final class Headers {
    /** The reason under which a record without a readable header is dropped. */
    static final String PROBLEM = "bad-header";

    private static final Set<String> KEYS = Set.of(
            "camera", "sequence", "captured_unix_ns", "received_fog_unix_ns", "people", "counter", "truth", "gated", "last");
    private static final int VALUE_BYTES_MAX = 256;
    private static final int CAMERA_LENGTH_MAX = 64;
    private static final long U32_MAX = 0xffff_ffffL;

    /** Why a set of headers is not that of a frame. */
    static final class Unreadable extends Exception {
        Unreadable(String message) {
            super(message);
        }
    }

    private final Map<String, String> fields = new HashMap<>();

    private Headers(Iterable<Header> headers) throws Unreadable {
        for (Header header : headers) {
            if (!KEYS.contains(header.key())) {
                continue;
            }
            if (fields.put(header.key(), text(header)) != null) {
                throw new Unreadable(header.key() + " is there twice");
            }
        }
    }

    /** Reads the header of a frame; the picture is left out. */
    static Frame read(Iterable<Header> headers) throws Unreadable {
        Headers fields = new Headers(headers);
        Frame frame = new Frame();
        frame.camera = fields.required("camera");
        if (!isCamera(frame.camera)) {
            throw new Unreadable("camera is no name");
        }
        frame.sequence = number("sequence", fields.required("sequence"));
        frame.capturedUnixNs = number("captured_unix_ns", fields.required("captured_unix_ns"));
        if (fields.fields.containsKey("received_fog_unix_ns")) {
            number("received_fog_unix_ns", fields.required("received_fog_unix_ns"));
        }
        frame.counter = fields.fields.get("counter");
        boolean counted = fields.fields.containsKey("people");
        if (counted != (frame.counter != null) || (counted && frame.counter.isEmpty())) {
            throw new Unreadable("people and counter belong together");
        }
        frame.people = fields.small("people");
        frame.truth = fields.small("truth");
        frame.gated = fields.flag("gated");
        frame.last = fields.flag("last");
        return frame;
    }

    /** Whether a text is the name of a camera: 1 to 64 of {@code A-Za-z0-9._-}. */
    static boolean isCamera(String name) {
        return !name.isEmpty() && name.length() <= CAMERA_LENGTH_MAX && name.chars().allMatch(Headers::isCameraLetter);
    }

    private static boolean isCameraLetter(int letter) {
        return letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' || letter >= '0' && letter <= '9'
                || letter == '.' || letter == '_' || letter == '-';
    }

    private static String text(Header header) throws Unreadable {
        byte[] value = header.value() == null ? new byte[0] : header.value();
        if (value.length > VALUE_BYTES_MAX) {
            throw new Unreadable(header.key() + " is too long");
        }
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
        } catch (CharacterCodingException e) {
            throw new Unreadable(header.key() + " is not UTF-8");
        }
    }

    private String required(String key) throws Unreadable {
        String value = fields.get(key);
        if (value == null) {
            throw new Unreadable(key + " is missing");
        }
        return value;
    }

    private static long number(String key, String text) throws Unreadable {
        if (text.isEmpty() || !text.chars().allMatch(c -> c >= '0' && c <= '9')) {
            throw new Unreadable(key + " is no number");
        }
        try {
            return Long.parseUnsignedLong(text);
        } catch (NumberFormatException e) {
            throw new Unreadable(key + " is too large");
        }
    }

    private long small(String key) throws Unreadable {
        String text = fields.get(key);
        if (text == null) {
            return Frame.NONE;
        }
        long number = number(key, text);
        if (number < 0 || number > U32_MAX) {
            throw new Unreadable(key + " is too large");
        }
        return number;
    }

    private boolean flag(String key) throws Unreadable {
        String text = fields.get(key);
        if (text == null || text.equals("false")) {
            return false;
        }
        if (text.equals("true")) {
            return true;
        }
        throw new Unreadable(key + " is neither true nor false");
    }
}
