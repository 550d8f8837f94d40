package dev.fogline.flink;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The command line. */
record Options(Path spec, String kafka, String guarantee, String checkpoints, String name) {
    static final String HELP = """
            Count the people in the frames of a topic, per camera and window of event time, on Apache Flink.

            usage: flink run -d people-counting.jar --spec FILE --kafka HOST:PORT[,HOST:PORT...] [OPTION VALUE]...

              --spec FILE          the job file, the one that `cctv job` reads
              --kafka LIST         Kafka's brokers
              --guarantee NAME     exactly-once or at-least-once, over the job file's
              --checkpoints URI    folder of checkpoints that all task managers see [default: the job manager's memory]
              --name NAME          what the job is called [default: people-counting]

            Parallelism is the cluster's default, or flink run -p.""";

    private static final Set<String> KNOWN = Set.of("--spec", "--kafka", "--guarantee", "--checkpoints", "--name");

    static Options parse(String[] arguments) throws JobSpec.Refused {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i < arguments.length; i += 2) {
            if (!KNOWN.contains(arguments[i])) {
                throw new JobSpec.Refused("unknown option " + arguments[i]);
            }
            if (i + 1 == arguments.length) {
                throw new JobSpec.Refused(arguments[i] + " needs a value");
            }
            if (given.put(arguments[i], arguments[i + 1]) != null) {
                throw new JobSpec.Refused(arguments[i] + " is given twice");
            }
        }
        for (String needed : new String[] {"--spec", "--kafka"}) {
            if (!given.containsKey(needed)) {
                throw new JobSpec.Refused(needed + " is missing");
            }
        }
        return new Options(
                Path.of(given.get("--spec")),
                given.get("--kafka"),
                given.get("--guarantee"),
                given.get("--checkpoints"),
                given.getOrDefault("--name", "people-counting"));
    }
}
