package dev.fogline.flink;

import dev.fogline.vision.Judge;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Counts the people on each frame, and lets the picture go: only counts are shuffled.
 *
 * <p>A counter remembers what it has seen of a camera, so a frame that came again, or that has a wrong clock, is not shown to
 * it: the native job does not either. (It does not show late ones either; here nobody knows yet which are late. A counter's
 * memory matters only for frames that no gateway has gated.)
 */
final class Count extends RichMapFunction<Frame, Frame> {
    private static final Logger LOG = LoggerFactory.getLogger(Count.class);

    /** Most cameras whose second deliveries are told from first ones here; the frames of others may be counted again. */
    private static final int CAMERAS_MAX = 10_000;

    private final String counter;
    private final long detectEvery;
    private transient Judge judge;
    /** What has been seen since the judge is here; it remembers no more than that itself. {@link Windows} remembers all. */
    private transient Map<String, Camera> seen;

    Count(JobSpec spec) {
        counter = spec.counter();
        detectEvery = spec.detectEvery();
    }

    @Override
    public void open(OpenContext context) {
        judge = new Judge(counter, detectEvery);
        seen = new HashMap<>();
    }

    @Override
    public Frame map(Frame frame) {
        if (frame.hasHeader() && !frame.last && isNew(frame)) {
            if (Disorder.isAhead(frame)) {
                frame.problem = Windows.FUTURE;
            } else {
                count(frame);
            }
        }
        frame.jpeg = null;
        return frame;
    }

    private boolean isNew(Frame frame) {
        Camera camera = seen.get(frame.camera);
        if (camera == null) {
            if (seen.size() == CAMERAS_MAX) {
                return true;
            }
            camera = new Camera();
            seen.put(frame.camera, camera);
        }
        return camera.isNew(frame.sequence);
    }

    private void count(Frame frame) {
        long people = judge.count(frame.camera, frame.jpeg, frame.gated, frame.people, frame.counter, frame.truth);
        if (people == Judge.CORRUPT) {
            frame.problem = "corrupt";
        } else if (people != Judge.UNCOUNTED && frame.counter == null) {
            frame.people = people;
            frame.counter = counter;
        }
    }

    @Override
    public void close() {
        if (judge != null) {
            LOG.info("counts and truth: {}", judge.figures());
            judge.close();
            judge = null;
        }
    }
}
