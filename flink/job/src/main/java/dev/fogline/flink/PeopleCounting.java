package dev.fogline.flink;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;

/**
 * The job: frames from Kafka, counted by the Rust crate {@code vision}, in windows of event time per camera, to Kafka.
 */
public final class PeopleCounting {
    /** Longer than any restart, shorter than the 15 minutes that a broker allows. */
    private static final Duration TRANSACTION_TIMEOUT = Duration.ofMinutes(10);

    private PeopleCounting() {}

    /** Builds the job and runs or submits it, as the environment says. */
    public static void main(String[] arguments) throws Exception {
        if (List.of(arguments).contains("--help")) {
            System.out.println(Options.HELP);
            return;
        }
        Options options;
        JobSpec spec;
        try {
            options = Options.parse(arguments);
            spec = JobSpec.read(options.spec(), options.guarantee());
        } catch (JobSpec.Refused e) {
            // Thrown and not printed, so that the client of the cluster ends with an error too.
            throw new IllegalArgumentException("people-counting: " + e.getMessage() + " (--help tells more)");
        }
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.getExecutionEnvironment(configuration(options));
        environment.enableCheckpointing(
                spec.checkpointMs(),
                spec.guarantee() == DeliveryGuarantee.EXACTLY_ONCE
                        ? CheckpointingMode.EXACTLY_ONCE
                        : CheckpointingMode.AT_LEAST_ONCE);
        build(environment, options, spec);
        environment.execute(options.name());
    }

    private static Configuration configuration(Options options) {
        Configuration configuration = new Configuration();
        // Frames are handed on, not copied; and nothing may slip into the state that only this version can read.
        configuration.set(PipelineOptions.OBJECT_REUSE, true);
        configuration.set(PipelineOptions.GENERIC_TYPES, false);
        configuration.set(PipelineOptions.AUTO_WATERMARK_INTERVAL, Duration.ofMillis(50));
        // A task manager or broker that is gone may come back within four minutes.
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 240);
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofSeconds(1));
        if (options.checkpoints() != null) {
            configuration.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
            configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, options.checkpoints());
        }
        return configuration;
    }

    private static void build(StreamExecutionEnvironment environment, Options options, JobSpec spec) {
        // A lambda takes along what it names, and a job file does not travel.
        long boundMs = spec.watermarkBoundMs();
        WatermarkStrategy<Frame> time = WatermarkStrategy.<Frame>forGenerator(context -> new Disorder(boundMs))
                .withTimestampAssigner((frame, kafka) -> frame.hasHeader() ? frame.capturedUnixMs() : kafka)
                .withIdleness(Duration.ofMillis(spec.idleMs()));
        environment
                .fromSource(source(options, spec), time, "frames")
                .uid("frames")
                .map(new Count(spec))
                .returns(TypeInformation.of(Frame.class))
                .name("count")
                .uid("count")
                // Without a camera a record belongs to nobody's account.
                .filter(frame -> !frame.camera.isEmpty())
                .name("known cameras")
                .uid("known-cameras")
                .keyBy(frame -> frame.camera)
                .process(new Windows(spec))
                .returns(TypeInformation.of(Result.class))
                .name("windows")
                .uid("windows")
                .sinkTo(sink(options, spec))
                .name("results")
                .uid("results");
    }

    /** The connector's interface still takes the class that Kafka has deprecated. */
    @SuppressWarnings("deprecation")
    private static KafkaSource<Frame> source(Options options, JobSpec spec) {
        return KafkaSource.<Frame>builder()
                .setBootstrapServers(options.kafka())
                .setTopics(spec.inputTopic())
                .setGroupId(spec.groupId())
                .setClientIdPrefix(options.name())
                .setStartingOffsets(OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST))
                .setDeserializer(new FrameReader())
                .setProperty("commit.offsets.on.checkpoint", "true")
                .build();
    }

    private static KafkaSink<Result> sink(Options options, JobSpec spec) {
        Properties properties = new Properties();
        properties.setProperty("transaction.timeout.ms", String.valueOf(TRANSACTION_TIMEOUT.toMillis()));
        return KafkaSink.<Result>builder()
                .setBootstrapServers(options.kafka())
                .setDeliveryGuarantee(spec.guarantee())
                .setTransactionalIdPrefix(spec.groupId() + "-" + options.name())
                .setKafkaProducerConfig(properties)
                .setRecordSerializer(new ResultWriter(spec.outputTopic()))
                .build();
    }
}
