package dev.fogline.flink;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The job file and the command line. */
public class JobSpecTest {
    private static final String GOOD =
            """
            {"input_topic":"in","output_topic":"out","group_id":"g","counter":"motion",
             "watermark_bound_ms":0,"idle_ms":5000,"window_ms":1000,"guarantee":"at-least-once"}
            """;

    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    private JobSpec read(String job, String guarantee) throws IOException, JobSpec.Refused {
        Path file = folder.getRoot().toPath().resolve("job.json");
        Files.writeString(file, job);
        return JobSpec.read(file, guarantee);
    }

    @Test
    public void aJobIsReadAndTheCommandLineStandsOverIt() throws Exception {
        JobSpec spec = read(GOOD, null);
        assertEquals("in", spec.inputTopic());
        assertEquals(1000, spec.checkpointMs());
        assertEquals(DeliveryGuarantee.AT_LEAST_ONCE, spec.guarantee());
        assertEquals(DeliveryGuarantee.EXACTLY_ONCE, read(GOOD, "exactly-once").guarantee());
    }

    @Test
    public void whatMakesNoSenseIsNamed() {
        for (String[] change : new String[][] {
            {"\"window_ms\":1000", "\"window_ms\":0", "window_ms"},
            {"\"window_ms\":1000", "\"windows_ms\":1", "windows_ms"},
            {"\"window_ms\":1000", "\"window_ms\":\"1s\"", "window_ms"},
            {"\"motion\"", "\"yolo\"", "yolo"},
            {"\"out\"", "\"in\"", "output_topic"},
            {"at-least-once", "at-most-once", "at-most-once"},
            {"\"idle_ms\":5000,", "", "idle_ms"},
            {"\"g\"", "\"\"", "group_id"},
            {"}", "", "line"},
            {"}", "}}", "line"},
        }) {
            String job = GOOD.replace(change[0], change[1]);
            JobSpec.Refused refused = assertThrows(job, JobSpec.Refused.class, () -> read(job, null));
            assertTrue(refused.getMessage(), refused.getMessage().contains(change[2]));
        }
        assertThrows(JobSpec.Refused.class, () -> read(GOOD, "twice"));
        assertThrows(JobSpec.Refused.class, () -> JobSpec.read(Path.of("/no/such/file"), null));
    }

    @Test
    public void optionsAreChecked() throws Exception {
        for (String line : new String[] {
            "--kafka h:1", "--spec f", "--spec f --kafka h:1 --x y", "--spec f --kafka", "--spec f --spec f --kafka h:1",
        }) {
            assertThrows(line, JobSpec.Refused.class, () -> Options.parse(line.split(" ")));
        }
        Options options = Options.parse("--spec f --kafka a:1,b:2 --checkpoints file:///c".split(" "));
        assertEquals("a:1,b:2", options.kafka());
        assertEquals("people-counting", options.name());
    }
}
