package dev.fogline.flink;

import dev.fogline.vision.Judge;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Counts the people on each frame, and lets the picture go. */
final class Count extends RichMapFunction<Frame, Frame> {
    private static final Logger LOG = LoggerFactory.getLogger(Count.class);

    private final String counter;
    private final long detectEvery;
    private transient Judge judge;

    Count(JobSpec spec) {
        counter = spec.counter();
        detectEvery = spec.detectEvery();
    }

    @Override
    public void open(OpenContext context) {
        judge = new Judge(counter, detectEvery);
    }

    @Override
    public Frame map(Frame frame) {
        if (frame.hasHeader() && !frame.last) {
            long people = judge.count(frame.camera, frame.jpeg, frame.gated, frame.people, frame.counter, frame.truth);
            if (people == Judge.CORRUPT) {
                frame.problem = "corrupt";
            } else if (people != Judge.UNCOUNTED && frame.counter == null) {
                frame.people = people;
                frame.counter = counter;
            }
        }
        frame.jpeg = null;
        return frame;
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
