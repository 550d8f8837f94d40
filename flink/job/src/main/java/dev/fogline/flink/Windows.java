package dev.fogline.flink;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Tumbling windows of event time, per camera, with the account of the camera's frames.
 *
 * <p>The native job's rules (crate {@code cctv}, {@code job/engine.rs}): second deliveries are told from first ones; a frame
 * is late when its window's end is not after the watermark, or that window of its camera has been closed before (also
 * before a restart, after which the watermark begins anew); an end marker closes the camera's windows.
 */
final class Windows extends KeyedProcessFunction<String, Frame, Result> {
    /** The reason under which a frame is dropped that claims to be far ahead of the clock. */
    static final String FUTURE = "future";

    private static final long NS_PER_MS = 1_000_000;

    private final long lengthNs;
    private transient ValueState<Camera> cameras;
    /** Open windows by their start in nanoseconds. */
    private transient MapState<Long, OpenWindow> windows;
    /** Frames that are in no window, by reason. */
    private transient MapState<String, Long> dropped;
    private transient Counter lateFrames;

    Windows(JobSpec spec) {
        lengthNs = spec.windowMs() * NS_PER_MS;
    }

    @Override
    public void open(OpenContext context) {
        cameras = getRuntimeContext().getState(new ValueStateDescriptor<>("camera", Types.POJO(Camera.class)));
        windows = getRuntimeContext()
                .getMapState(new MapStateDescriptor<>("windows", Types.LONG, Types.POJO(OpenWindow.class)));
        dropped = getRuntimeContext().getMapState(new MapStateDescriptor<>("dropped", Types.STRING, Types.LONG));
        lateFrames = getRuntimeContext().getMetricGroup().counter("lateFrames");
    }

    @Override
    public void processElement(Frame frame, Context context, Collector<Result> out) throws Exception {
        Camera camera = cameras.value() == null ? new Camera() : cameras.value();
        if (!frame.hasHeader()) {
            drop(camera, frame.problem);
        } else if (!camera.isNew(frame.sequence)) {
            camera.duplicates++;
        } else if (frame.last) {
            end(frame, camera, context.getCurrentKey(), out);
        } else {
            take(frame, camera, context);
        }
        cameras.update(camera);
    }

    private void take(Frame frame, Camera camera, Context context) throws Exception {
        if (FUTURE.equals(frame.problem)) {
            drop(camera, FUTURE);
            return;
        }
        long start = frame.capturedUnixNs - frame.capturedUnixNs % lengthNs;
        long end = start + lengthNs;
        if (end / NS_PER_MS <= context.timerService().currentWatermark() || end <= camera.closedUntilUnixNs) {
            lateFrames.inc();
            camera.late++;
            drop(camera, "late");
        } else if (frame.problem != null) {
            drop(camera, frame.problem);
        } else {
            OpenWindow window = windows.get(start);
            if (window == null) {
                window = new OpenWindow();
                context.timerService().registerEventTimeTimer(end / NS_PER_MS);
            }
            window.add(frame);
            windows.put(start, window);
            camera.framesIn++;
        }
    }

    private void drop(Camera camera, String reason) throws Exception {
        camera.framesIn++;
        Long before = dropped.get(reason);
        dropped.put(reason, before == null ? 1 : before + 1);
    }

    @Override
    public void onTimer(long endMs, OnTimerContext context, Collector<Result> out) throws Exception {
        long start = endMs * NS_PER_MS - lengthNs;
        OpenWindow window = windows.get(start);
        // An end marker may have closed it.
        if (window != null) {
            Camera camera = cameras.value();
            out.collect(close(start, window, camera, context.getCurrentKey(), false));
            cameras.update(camera);
        }
    }

    private void end(Frame marker, Camera camera, String name, Collector<Result> out) throws Exception {
        TreeMap<Long, OpenWindow> open = new TreeMap<>();
        for (Map.Entry<Long, OpenWindow> entry : windows.entries()) {
            open.put(entry.getKey(), entry.getValue());
        }
        List<Map.Entry<Long, OpenWindow>> inOrder = new ArrayList<>(open.entrySet());
        for (int i = 0; i < inOrder.size(); i++) {
            boolean last = i == inOrder.size() - 1;
            out.collect(close(inOrder.get(i).getKey(), inOrder.get(i).getValue(), camera, name, last));
        }
        TreeMap<String, Long> reasons = new TreeMap<>();
        for (Map.Entry<String, Long> entry : dropped.entries()) {
            reasons.put(entry.getKey(), entry.getValue());
        }
        out.collect(Result.end(name, camera, reasons, marker.capturedUnixNs));
    }

    private Result close(long start, OpenWindow window, Camera camera, String name, boolean last) throws Exception {
        long end = start + lengthNs;
        windows.remove(start);
        Result result = Result.window(name, start, end, window, camera.late, last);
        camera.late = 0;
        camera.windows++;
        camera.framesOut += window.frames;
        camera.closedUntilUnixNs = Math.max(camera.closedUntilUnixNs, end);
        return result;
    }
}
