package dev.fogline.flink;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import org.apache.flink.connector.base.DeliveryGuarantee;

/**
 * The job, as {@code job.json} says it; {@code cctv job --help} explains the fields. Unknown ones are refused: a misspelt
 * bound must not become a default.
 */
record JobSpec(
        String inputTopic,
        String outputTopic,
        String groupId,
        String counter,
        long detectEvery,
        long watermarkBoundMs,
        long idleMs,
        long windowMs,
        DeliveryGuarantee guarantee,
        long checkpointMs) {
    private static final long SPAN_MS_MAX = 86_400_000;
    private static final Set<String> KNOWN = Set.of(
            "about", "input_topic", "output_topic", "group_id", "counter", "detect_every", "watermark_bound_ms", "idle_ms",
            "window_ms", "guarantee", "checkpoint_ms");

    static JobSpec read(Path path, String guarantee) throws Refused {
        try {
            return parse(Files.readString(path), guarantee);
        } catch (IOException e) {
            throw new Refused("cannot read the job " + path + ": " + e.getMessage());
        } catch (Refused e) {
            throw new Refused(path + ": " + e.getMessage());
        }
    }

    private static JobSpec parse(String text, String guarantee) throws Refused {
        JsonNode json;
        try {
            JsonMapper mapper = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
            json = mapper.readTree(text);
        } catch (JsonProcessingException e) {
            throw new Refused(e.getOriginalMessage() + " at line " + e.getLocation().getLineNr());
        }
        for (Iterator<String> names = json.fieldNames(); names.hasNext();) {
            String name = names.next();
            if (!KNOWN.contains(name)) {
                throw new Refused("unknown field `" + name + "`");
            }
        }
        String input = text(json, "input_topic");
        String output = text(json, "output_topic");
        if (input.equals(output)) {
            throw new Refused("`input_topic` and `output_topic` are both \"" + input + "\"");
        }
        String counter = text(json, "counter");
        if (!List.of("motion", "nanodet").contains(counter)) {
            throw new Refused("`counter` is \"" + counter + "\"; it must be motion or nanodet");
        }
        return new JobSpec(
                input,
                output,
                text(json, "group_id"),
                counter,
                json.has("detect_every") ? number(json, "detect_every", 0, Long.MAX_VALUE) : 0,
                number(json, "watermark_bound_ms", 0, SPAN_MS_MAX),
                number(json, "idle_ms", 1, SPAN_MS_MAX),
                number(json, "window_ms", 1, SPAN_MS_MAX),
                guarantee(guarantee == null ? text(json, "guarantee") : guarantee),
                json.has("checkpoint_ms") ? number(json, "checkpoint_ms", 1, SPAN_MS_MAX) : 1000);
    }

    private static DeliveryGuarantee guarantee(String name) throws Refused {
        return switch (name) {
            case "exactly-once" -> DeliveryGuarantee.EXACTLY_ONCE;
            case "at-least-once" -> DeliveryGuarantee.AT_LEAST_ONCE;
            default -> throw new Refused("the guarantee is \"" + name + "\"; it must be exactly-once or at-least-once");
        };
    }

    private static String text(JsonNode json, String field) throws Refused {
        JsonNode node = json.get(field);
        if (node == null || !node.isTextual() || node.textValue().isEmpty()) {
            throw new Refused("`" + field + "` must be a text that is not empty");
        }
        return node.textValue();
    }

    private static long number(JsonNode json, String field, long least, long most) throws Refused {
        JsonNode node = json.get(field);
        if (node == null || !node.isIntegralNumber() || !node.canConvertToLong() || node.longValue() < least
                || node.longValue() > most) {
            throw new Refused("`" + field + "` must be a whole number from " + least + " to " + most);
        }
        return node.longValue();
    }

    /** Why a job cannot run; the message names the field. */
    static final class Refused extends Exception {
        Refused(String message) {
            super(message);
        }
    }
}
