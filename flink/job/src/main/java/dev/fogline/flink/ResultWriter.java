package dev.fogline.flink;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** From a result to a record of the output topic, keyed by its camera. */
final class ResultWriter implements KafkaRecordSerializationSchema<Result> {
    private final String topic;

    ResultWriter(String topic) {
        this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Result result, KafkaSinkContext context, Long timestamp) {
        return new ProducerRecord<>(topic, null, result.timeUnixMs, bytes(result.camera), result.json, headers(result));
    }

    private static List<Header> headers(Result result) {
        if (!result.last) {
            return List.of();
        }
        return List.of(
                header("camera", result.camera),
                header("sequence", Long.toUnsignedString(result.sequence)),
                header("captured_unix_ns", Long.toUnsignedString(result.capturedUnixNs)),
                header("last", "true"));
    }

    private static Header header(String key, String value) {
        return new RecordHeader(key, bytes(value));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
