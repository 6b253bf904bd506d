import com.fasterxml.jackson.core.*;
import com.github.luben.zstd.Zstd;
import java.nio.*;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Reads the messages of versions, one file each, in the order of the topic, written from docs/delta-format.md alone,
 * and prints what they change. No generics, no lambdas: Janino, which comes with Flink, can compile it without a JDK.
 */
public class DeltaReader {
    static final int UNPACKED_BYTES = 3600000;
    static Map chunks = new HashMap(), changes = new TreeMap();
    static long epoch = 0, seq = 0;
    static String currentHash = "";

    public static void main(String[] files) throws Exception {
        for (int i = 0; i < files.length; i++) {
            byte[] message = Files.readAllBytes(Paths.get(files[i], new String[0]));
            if (message.length > 3 && littleEndian(message).getInt(0) == 0xFD2FB528) {
                chunks.put(sha256(message), message);
            } else {
                take(message);
                chunks.clear();
            }
        }
    }

    static void take(byte[] message) throws Exception {
        Map manifest = parsed(message, 0, message.length), hashed = new TreeMap(manifest);
        hashed.remove("created_at");
        hashed.remove("signature");
        String hash = sha256(canonical(hashed).getBytes("UTF-8"));
        check("1".equals(String.valueOf(manifest.get("format"))), "format: this reader knows format 1");
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(System.getenv("HEADRACE_MODEL_KEY").getBytes("UTF-8"), "HmacSHA256"));
        byte[] wanted = HexFormat.of().formatHex(mac.doFinal(hash.getBytes("UTF-8"))).getBytes("UTF-8");
        boolean signed = MessageDigest.isEqual(wanted, String.valueOf(manifest.get("signature")).getBytes("UTF-8"));
        check(signed, "signature: the manifest is not signed with this key");
        long newEpoch = number(manifest.get("epoch")), newSeq = number(manifest.get("seq"));
        if (newEpoch < epoch || newEpoch == epoch && newSeq <= seq) {
            return;
        }
        List names = (List) manifest.get("chunks");
        check(chunks.keySet().containsAll(names), "hash: not all of the chunks " + names + " arrived");
        String parent = (String) manifest.get("parent");
        boolean whole = parent.isEmpty() && newEpoch > epoch;
        check(whole || parent.equals(currentHash), "parent: it follows " + parent + ", this reader is at " + currentHash);
        changes.clear();
        for (int i = 0; i < names.size(); i++) {
            new Chunk((byte[]) chunks.get(names.get(i))).read();
        }
        System.out.println("version " + newEpoch + "." + newSeq + (whole ? " whole " : " ") + hash);
        for (Iterator all = changes.values().iterator(); all.hasNext();) {
            System.out.println(all.next());
        }
        epoch = newEpoch;
        seq = newSeq;
        currentHash = hash;
    }

    static class Chunk {
        final byte[] raw;
        final int start;
        final Map tensors;

        Chunk(byte[] packed) throws Exception {
            long size = Zstd.decompressedSize(packed);
            check(size >= 8 && size <= UNPACKED_BYTES, "format: a chunk is safetensors packed by zstd");
            raw = new byte[(int) size];
            check(Zstd.decompress(raw, packed) == size, "format: a chunk cannot be unpacked");
            long header = littleEndian(raw).getLong(0);
            check(header >= 0 && header <= size - 8, "format: a header is longer than its chunk");
            tensors = parsed(raw, 8, (int) header);
            start = 8 + (int) header;
        }

        void read() throws Exception {
            for (Iterator all = tensors.keySet().iterator(); all.hasNext();) {
                String name = (String) all.next(), owner = name.split("/")[0];
                if (!changes.containsKey(owner)) {
                    changes.put(owner, new Change(owner));
                }
                Change change = (Change) changes.get(owner);
                if (name.startsWith("=")) {
                    change.addRow(0, values(name), 0, values(name).length);
                } else if (name.endsWith("/gone")) {
                    change.addGone(ids(name));
                } else if (name.endsWith("/ids")) {
                    change.addRows(ids(name), rows(owner));
                }
            }
        }

        /** The rows of a table one after the other, in either coding. */
        float[] rows(String table) {
            if (tensors.containsKey(table + "/rows")) {
                return values(table + "/rows");
            }
            float[] lead = values(table + "/lead"), codes = values(table + "/codes"), fit = values(table + "/fit");
            int count = fit.length / 2, leads = size(table + "/lead", 1), others = size(table + "/codes", 1);
            boolean fits = lead.length == count * leads && codes.length == count * others;
            check(fits, "format: fit, codes and lead must have one entry per row");
            float[] rows = new float[count * (leads + others)];
            for (int n = 0, to = 0; n < count; n++) {
                for (int i = 0; i < leads; i++) {
                    rows[to++] = lead[n * leads + i];
                }
                for (int i = 0; i < others; i++) {
                    rows[to++] = codes[n * others + i] * fit[2 * n] + fit[2 * n + 1];
                }
            }
            return rows;
        }

        long[] ids(String name) {
            float[] planes = values(name);
            long[] ids = new long[size(name, 1)];
            check(planes.length == 8 * ids.length, "format: ids are 8 planes of bytes");
            for (int n = 0; n < ids.length; n++) {
                long step = 0;
                for (int plane = 0; plane < 8; plane++) {
                    step |= (long) planes[plane * ids.length + n] << (8 * plane);
                }
                ids[n] = n == 0 ? step : ids[n - 1] + step;
                check(n == 0 ? step >= 0 : step > 0 && ids[n] > 0, "format: ids must ascend");
            }
            return ids;
        }

        float[] values(String name) {
            Map tensor = (Map) tensors.get(name);
            check(tensor != null, "format: there is no tensor " + name);
            String type = (String) tensor.get("dtype");
            List ends = (List) tensor.get("data_offsets");
            int begin = start + (int) number(ends.get(0)), end = start + (int) number(ends.get(1));
            int width = type.equals("U8") ? 1 : type.equals("F16") ? 2 : 4, count = 1;
            for (int axis = 0; axis < ((List) tensor.get("shape")).size(); axis++) {
                count *= size(name, axis);
            }
            boolean fits = begin >= start && end <= raw.length && end - begin == width * count;
            check(fits, "format: tensor " + name + " is not as long as its shape says");
            ByteBuffer bytes = littleEndian(Arrays.copyOfRange(raw, begin, end));
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                values[i] = width == 1 ? bytes.get(i) & 255
                    : width == 2 ? Float.float16ToFloat(bytes.getShort(2 * i)) : bytes.getFloat(4 * i);
            }
            return values;
        }

        int size(String name, int axis) {
            return (int) number(((List) ((Map) tensors.get(name)).get("shape")).get(axis));
        }
    }

    /** Number of rows of a table or a dense tensor, the digest of ids and values as little-endian bytes, and the first values. */
    static class Change {
        final String name;
        final MessageDigest rows, gone;
        int count = 0, goneCount = 0;
        long last = -1;
        String first = "";

        Change(String name) throws Exception {
            this.name = name;
            this.rows = MessageDigest.getInstance("SHA-256");
            this.gone = MessageDigest.getInstance("SHA-256");
        }

        void addGone(long[] ids) {
            for (int n = 0; n < ids.length; n++, goneCount++) {
                gone.update((byte[]) littleEndian(new byte[8]).putLong(0, ids[n]).array());
            }
        }

        void addRows(long[] ids, float[] values) {
            int width = ids.length == 0 ? 0 : values.length / ids.length;
            check(values.length == ids.length * width, "format: table " + name + " does not have one row per id");
            for (int n = 0; n < ids.length; n++) {
                check(ids[n] > last, "format: ids must ascend");
                last = ids[n];
                addRow(ids[n], values, n * width, width);
            }
        }

        void addRow(long id, float[] values, int from, int width) {
            rows.update((byte[]) littleEndian(new byte[8]).putLong(0, id).array());
            for (int i = from; i < from + width; i++) {
                check(Math.abs(values[i]) <= Float.MAX_VALUE, "finite: " + name + " holds a value that is not finite");
                rows.update((byte[]) littleEndian(new byte[4]).putFloat(0, values[i]).array());
                first += count == 0 && i < from + 3 ? " " + values[i] : "";
            }
            count++;
        }

        public String toString() {
            String ends = " " + HexFormat.of().formatHex(gone.digest()) + first;
            return name + " " + count + " " + HexFormat.of().formatHex(rows.digest()) + " gone " + goneCount + ends;
        }
    }

    static Map parsed(byte[] text, int start, int length) throws Exception {
        JsonParser parser = new JsonFactory().createParser(text, start, length);
        check(parser.nextToken() == JsonToken.START_OBJECT, "format: this is not a JSON object");
        Map members = (Map) value(parser);
        check(parser.nextToken() == null, "format: something follows the JSON object");
        return members;
    }

    /** Objects as maps in order of names, strings as String, everything else verbatim as StringBuilder. */
    static Object value(JsonParser at) throws Exception {
        if (at.currentToken() == JsonToken.START_OBJECT) {
            Map members = new TreeMap(); // by UTF-16: the same as by code point if no name leaves the first plane
            while (at.nextToken() != JsonToken.END_OBJECT) {
                String name = at.getText();
                at.nextToken();
                members.put(name, value(at));
            }
            return members;
        }
        if (at.currentToken() == JsonToken.START_ARRAY) {
            List elements = new ArrayList();
            while (at.nextToken() != JsonToken.END_ARRAY) {
                elements.add(value(at));
            }
            return elements;
        }
        return at.currentToken() == JsonToken.VALUE_STRING ? (Object) at.getText() : new StringBuilder(at.getText());
    }

    static String canonical(Object value) {
        StringJoiner parts = new StringJoiner(",");
        if (value instanceof Map) {
            for (Iterator all = ((Map) value).entrySet().iterator(); all.hasNext();) {
                Map.Entry member = (Map.Entry) all.next();
                parts.add(canonical(member.getKey()) + ":" + canonical(member.getValue()));
            }
            return "{" + parts + "}";
        }
        if (value instanceof List) {
            for (Iterator all = ((List) value).iterator(); all.hasNext();) {
                parts.add(canonical(all.next()));
            }
            return "[" + parts + "]";
        }
        return value instanceof String ? quoted((String) value) : value.toString();
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            int known = "\"\\\b\t\n\f\r".indexOf(c);
            String control = c < 32 ? "\\u00" + (c < 16 ? "0" : "1") + Character.forDigit(c % 16, 16) : "" + c;
            out.append(known >= 0 ? "\\" + "\"\\btnfr".charAt(known) : control);
        }
        return out.append('"').toString();
    }

    static long number(Object word) {
        return Long.parseLong(word.toString());
    }

    static void check(boolean holds, String message) {
        if (!holds) {
            throw new IllegalStateException(message);
        }
    }

    static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }
}
