import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/** Counts up slowly and without end, under the name of its first argument; with a second one it fails, saying that. */
public final class Ticks {
    private Ticks() {}

    public static void main(String[] arguments) throws Exception {
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        environment
                .fromSequence(0, Long.MAX_VALUE)
                .uid("numbers")
                .map(new Step(arguments.length > 1 ? arguments[1] : null))
                .uid("step")
                .keyBy(number -> number % 7)
                .map(number -> number)
                .returns(Long.class)
                .name("counted, by key")
                .uid("counted")
                .sinkTo(new DiscardingSink<>())
                .uid("gone");
        environment.execute(arguments[0]);
    }

    private static final class Step implements MapFunction<Long, Long> {
        private static final long serialVersionUID = 1;
        private final String failure;

        Step(String failure) {
            this.failure = failure;
        }

        @Override
        public Long map(Long number) throws Exception {
            if (failure != null) {
                throw new IllegalStateException(failure);
            }
            Thread.sleep(2);
            return number;
        }
    }
}
