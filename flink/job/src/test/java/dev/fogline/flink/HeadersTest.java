package dev.fogline.flink;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.junit.Test;

/** The header of a frame, as {@code crates/frame/tests/round_trip.rs} has it in Rust. */
public class HeadersTest {
    /** The frame of these pairs of key and text (Latin 1), or null when they are none. */
    private static Frame read(String... pairs) {
        RecordHeaders headers = new RecordHeaders();
        for (int at = 0; at < pairs.length; at += 2) {
            byte[] value = pairs[at + 1].getBytes(StandardCharsets.ISO_8859_1);
            headers.add(pairs[at], value);
        }
        try {
            return Headers.read(headers);
        } catch (Headers.Unreadable e) {
            return null;
        }
    }

    private static Frame with(String key, String value) {
        return read("camera", "c-1", "sequence", "7", "captured_unix_ns", "9", key, value);
    }

    @Test
    public void whatRustWritesIsRead() {
        Frame frame = read(
                "camera", "edge.1-2", "sequence", "18446744073709551615", "captured_unix_ns", "1700000000000000001",
                "received_fog_unix_ns", "1700000000000000002", "people", "4294967295", "counter", "motion", "truth",
                "3", "gated", "true", "last", "true", "newer", "\u00ff");
        assertEquals("edge.1-2", frame.camera);
        assertEquals("18446744073709551615", Long.toUnsignedString(frame.sequence));
        assertEquals(1700000000000000001L, frame.capturedUnixNs);
        assertEquals(4294967295L, frame.people);
        assertEquals("motion", frame.counter);
        assertEquals(3, frame.truth);
        assertTrue(frame.gated && frame.last);
        assertEquals(Frame.NONE, with("gated", "false").people);
    }

    @Test
    public void whatRustRefusesIsRefused() {
        assertNull(read());
        assertNull(read("camera", "c", "sequence", "7"));
        for (String[] pair : new String[][] {
            {"camera", "twice"}, {"received_fog_unix_ns", "+1"}, {"received_fog_unix_ns", ""},
            {"received_fog_unix_ns", "18446744073709551616"}, {"people", "1"}, {"counter", "motion"},
            {"truth", "4294967296"}, {"truth", "-1"}, {"truth", "\u0661"}, {"gated", "yes"}, {"last", "TRUE"},
            {"gated", "x".repeat(257)}, {"last", "\u00ff"},
        }) {
            assertNull(pair[0] + "=" + pair[1], with(pair[0], pair[1]));
        }
        assertNull(read("camera", "a b", "sequence", "7", "captured_unix_ns", "9"));
        assertNull(read("camera", "c".repeat(65), "sequence", "7", "captured_unix_ns", "9"));
        assertNull(read("camera", "c", "sequence", "7", "captured_unix_ns", "9", "people", "1", "counter", ""));
        assertNotNull(with("newer", "\u00ff"));
    }
}
