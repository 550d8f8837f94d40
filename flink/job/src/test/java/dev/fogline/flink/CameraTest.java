package dev.fogline.flink;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.Test;

/** Second deliveries, as {@code crates/cctv/src/seen.rs} tells them. */
public class CameraTest {
    @Test
    public void agreesWithASetWhileDeliveriesStayWithinTheWindow() {
        Random random = new Random(7);
        for (int round = 0; round < 50; round++) {
            Camera seen = new Camera();
            Set<Long> set = new HashSet<>();
            long newest = 5000;
            for (int step = 0; step < 400; step++) {
                newest += random.nextInt(200);
                long sequence = newest - random.nextInt(4000);
                assertEquals(set.add(sequence), seen.isNew(sequence));
            }
        }
    }

    @Test
    public void whatIsOlderThanTheWindowCountsAsSeen() {
        Camera seen = new Camera();
        assertTrue(seen.isNew(10_000));
        assertFalse(seen.isNew(10_000 - 4096));
        assertTrue(seen.isNew(10_001 - 4096));
        assertTrue("the largest of all", seen.isNew(-1));
        assertFalse(seen.isNew(-1));
    }
}
