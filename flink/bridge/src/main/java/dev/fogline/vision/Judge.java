package dev.fogline.vision;

/**
 * The Rust crate {@code vision}, by way of {@code libvision_jni.so}: what counts the frames of a job, by the same code
 * that counts them in Fogline's own engine.
 *
 * <p>This class has to lie in Flink's own lib folder and not in a job's jar: a Java machine loads a library for one class
 * loader only, and every submission of a job has one of its own.
 *
 * <p>One judge is for one thread at a time. State per camera is bounded.
 */
public final class Judge implements AutoCloseable {
    /** The version of the native interface that this class speaks. */
    private static final int ABI = 1;

    /** Returned by {@link #count} for a frame without picture and count: its gateway was still learning. */
    public static final long UNCOUNTED = -1;

    /** Returned by {@link #count} for a picture that cannot be read. */
    public static final long CORRUPT = -2;

    static {
        System.loadLibrary("vision_jni");
        int found = abi();
        if (found != ABI) {
            throw new LinkageError("libvision_jni speaks version " + found + " of the interface, vision-bridge.jar version "
                    + ABI + ": build both from the same sources (scripts/flink-job)");
        }
    }

    private long handle;

    /**
     * The counters that a job asks for.
     *
     * @param counter who counts the frames that carry no count yet: {@code motion} or {@code nanodet}
     * @param checkEvery one frame in this many of each camera is counted by {@code nanodet} too; 0 for none
     * @throws IllegalArgumentException when there is no such counter
     */
    public Judge(String counter, long checkEvery) {
        handle = open(counter, checkEvery);
    }

    /**
     * Counts the people on a frame, unless that has been done.
     *
     * @param camera the camera's name
     * @param jpeg the picture; empty for a frame without one
     * @param gated whether the picture shows moving parts only
     * @param people the count that the frame carries, or a negative number when it carries none
     * @param counter who counted it, or null
     * @param truth the true number of people, or a negative number when it is not known; for the figures only
     * @return the number of people, {@link #UNCOUNTED} or {@link #CORRUPT}
     */
    public long count(String camera, byte[] jpeg, boolean gated, long people, String counter, long truth) {
        return count(handle, camera, jpeg, gated, people, counter, truth);
    }

    /** Distances of the counts from the truth so far, as one JSON object of figures. */
    public String figures() {
        return figures(handle);
    }

    @Override
    public void close() {
        if (handle != 0) {
            close(handle);
            handle = 0;
        }
    }

    private static native int abi();

    private static native long open(String counter, long checkEvery);

    private static native long count(
            long handle, String camera, byte[] jpeg, boolean gated, long people, String counter, long truth);

    private static native String figures(long handle);

    private static native void close(long handle);
}
