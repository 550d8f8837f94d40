package dev.fogline.flink;

/** A record of the input topic: a frame with its header, an end marker, or what could not be read. */
public final class Frame {
    /** No count, or no truth. */
    public static final long NONE = -1;

    /** The camera's name; empty where not even that could be read. */
    public String camera = "";
    /** Position in the camera's stream; unsigned. */
    public long sequence;
    /** Intended capture time, nanoseconds since the Unix epoch; unsigned. */
    public long capturedUnixNs;
    /** People on it, or {@link #NONE}. */
    public long people = NONE;
    /** Who counted them; null when nobody has. */
    public String counter;
    /** The true number of people, or {@link #NONE}. */
    public long truth = NONE;
    /** Whether the picture shows moving parts only. */
    public boolean gated;
    /** Whether the camera's stream has ended. */
    public boolean last;
    /** Why the frame is in no window, where that is known already: {@code bad-header}, {@code corrupt}, {@code future}. */
    public String problem;
    /** The picture; null once it has been counted. */
    public byte[] jpeg;

    /** A frame that has a readable header, and so a place in time. */
    boolean hasHeader() {
        return !Headers.PROBLEM.equals(problem);
    }

    /** The capture time in milliseconds, rounded down. */
    long capturedUnixMs() {
        return Long.divideUnsigned(capturedUnixNs, 1_000_000);
    }
}
