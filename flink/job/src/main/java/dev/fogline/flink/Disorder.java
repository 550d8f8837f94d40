package dev.fogline.flink;

import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/**
 * The watermark of one partition: its newest event time minus a bound. In whole milliseconds that is exactly the native
 * job's, because windows begin and end at whole milliseconds.
 */
final class Disorder implements WatermarkGenerator<Frame> {
    /** How far ahead of the clock a frame may claim to have been taken: one wrong clock must not make all others late. */
    static final long AHEAD_MS_MAX = 60_000;

    private final long boundMs;
    private long newestMs = Long.MIN_VALUE;

    Disorder(long boundMs) {
        this.boundMs = boundMs;
    }

    @Override
    public void onEvent(Frame frame, long timeMs, WatermarkOutput output) {
        if (frame.hasHeader() && !frame.last && !isAhead(frame)) {
            newestMs = Math.max(newestMs, frame.capturedUnixMs());
        }
    }

    @Override
    public void onPeriodicEmit(WatermarkOutput output) {
        if (newestMs != Long.MIN_VALUE) {
            output.emitWatermark(new Watermark(newestMs - boundMs));
        }
    }

    /** Whether a frame comes from the future. */
    static boolean isAhead(Frame frame) {
        return frame.capturedUnixMs() > System.currentTimeMillis() + AHEAD_MS_MAX;
    }
}
