package dev.fogline.flink;

/** What is known about a camera, beside its open windows. State of {@link Windows}: fields may be added, not changed. */
public final class Camera {
    /** How far behind the newest sequence number a first delivery may come; what is older is a second delivery. */
    private static final int SEEN = 4096;

    /** Whether any sequence number has been seen. */
    public boolean heard;
    /** The newest sequence number; unsigned. */
    public long newest;
    /** A sliding bit map of the last 4096 sequence numbers. */
    public long[] seen = new long[SEEN / 64];
    /** Windows that end here or earlier have been closed. */
    public long closedUntilUnixNs;
    /** Late frames since the last closed window. */
    public long late;
    /** Windows closed. */
    public long windows;
    /** Frames read, second deliveries left out. */
    public long framesIn;
    /** Frames that are in a closed window. */
    public long framesOut;
    /** Frames that came again. */
    public long duplicates;

    /** Notes a sequence number; false when it has been seen before, or is so old that it must have been. */
    boolean isNew(long sequence) {
        if (!heard) {
            heard = true;
            newest = sequence;
        } else if (Long.compareUnsigned(sequence, newest) > 0) {
            slide(sequence);
        } else if (Long.compareUnsigned(newest - sequence, SEEN) >= 0) {
            return false;
        }
        int slot = (int) Long.remainderUnsigned(sequence, SEEN);
        long mask = 1L << (slot % 64);
        boolean isNew = (seen[slot / 64] & mask) == 0;
        seen[slot / 64] |= mask;
        return isNew;
    }

    /** Forgets what falls out of the map when {@code sequence} becomes the newest. */
    private void slide(long sequence) {
        if (Long.compareUnsigned(sequence - newest, SEEN) >= 0) {
            seen = new long[SEEN / 64];
        } else {
            for (long fresh = newest + 1; fresh != sequence + 1; fresh++) {
                int slot = (int) Long.remainderUnsigned(fresh, SEEN);
                seen[slot / 64] &= ~(1L << (slot % 64));
            }
        }
        newest = sequence;
    }
}
