package dev.fogline.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** From a record of the input topic to a frame. */
final class FrameReader implements KafkaRecordDeserializationSchema<Frame> {
    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Frame> out) {
        out.collect(read(record));
    }

    private static Frame read(ConsumerRecord<byte[], byte[]> record) {
        try {
            Frame frame = Headers.read(record.headers());
            frame.jpeg = record.value() == null ? new byte[0] : record.value();
            return frame;
        } catch (Headers.Unreadable e) {
            Frame frame = new Frame();
            frame.problem = Headers.PROBLEM;
            // The key is the camera's name, if anything is.
            String key = record.key() == null ? "" : new String(record.key(), StandardCharsets.UTF_8);
            frame.camera = Headers.isCamera(key) ? key : "";
            return frame;
        }
    }

    @Override
    public TypeInformation<Frame> getProducedType() {
        return TypeInformation.of(Frame.class);
    }
}
