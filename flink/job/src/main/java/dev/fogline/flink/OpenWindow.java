package dev.fogline.flink;

import java.util.Arrays;
import java.util.TreeSet;

/** A window that still takes frames. State of {@link Windows}: fields may be added, not changed. */
public final class OpenWindow {
    public long frames;
    public long counted;
    public long people;
    public long peopleMax;
    /** Names of those who counted, sorted, joined by {@code +}. */
    public String counter = "";
    public long firstCapturedUnixNs;
    public long lastCapturedUnixNs;
    public long firstSequence;
    public long lastSequence;
    public long errorFrames;
    public long errorAbsoluteSum;
    public long errorSignedSum;

    void add(Frame frame) {
        boolean first = frames == 0;
        frames++;
        firstCapturedUnixNs = first ? frame.capturedUnixNs : Math.min(firstCapturedUnixNs, frame.capturedUnixNs);
        lastCapturedUnixNs = first ? frame.capturedUnixNs : Math.max(lastCapturedUnixNs, frame.capturedUnixNs);
        firstSequence = first ? frame.sequence : lesser(firstSequence, frame.sequence);
        lastSequence = first ? frame.sequence : greater(lastSequence, frame.sequence);
        if (frame.counter == null) {
            return;
        }
        counted++;
        people += frame.people;
        peopleMax = Math.max(peopleMax, frame.people);
        counter = with(counter, frame.counter);
        if (frame.truth != Frame.NONE) {
            errorFrames++;
            errorAbsoluteSum += Math.abs(frame.people - frame.truth);
            errorSignedSum += frame.people - frame.truth;
        }
    }

    private static long lesser(long a, long b) {
        return Long.compareUnsigned(a, b) <= 0 ? a : b;
    }

    private static long greater(long a, long b) {
        return Long.compareUnsigned(a, b) >= 0 ? a : b;
    }

    private static String with(String counters, String counter) {
        if (counters.isEmpty() || counters.equals(counter)) {
            return counter;
        }
        TreeSet<String> names = new TreeSet<>(Arrays.asList(counters.split("\\+")));
        names.add(counter);
        return String.join("+", names);
    }
}
