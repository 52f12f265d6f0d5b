using Microsoft.Data.Sqlite;

namespace ColossalChat.Journal;

/// <summary>
/// Where the records are, so that nobody needs to read the segments for it: a SQLite file that may be lost at any time, for
/// the segments alone can make it again. That is why it is never flushed to the disk by itself.
/// </summary>
internal sealed class JournalIndex : IDisposable
{
    private const int Version = 1;
    private const string Columns = "type, iteration, shard, part, rows, epoch, number, offset, length";
    private readonly SqliteConnection _connection;

    private JournalIndex(SqliteConnection connection) => _connection = connection;

    /// <summary>What may go wrong with an index that the journal can do without: its file, or SQLite itself on this machine.</summary>
    public static bool IsFault(Exception error) => error is SqliteException or DllNotFoundException or TypeInitializationException;

    /// <summary>Opens the index for writing; one that cannot be read is replaced by an empty one.</summary>
    public static JournalIndex OpenOrCreate(string folder)
    {
        try
        {
            return Create(folder);
        }
        catch (SqliteException)
        {
            // Damaged or of another version: everything in it can be had again.
            File.Delete(JournalFolder.IndexOf(folder));
            return Create(folder);
        }
    }

    /// <summary>Opens the index for reading; null when there is none that can be read.</summary>
    public static JournalIndex? TryOpen(string folder)
    {
        if (!File.Exists(JournalFolder.IndexOf(folder)))
            return null;
        JournalIndex? index = null;
        try
        {
            index = new JournalIndex(Connect(folder, SqliteOpenMode.ReadOnly));
            if (index.Scalar("PRAGMA user_version") == Version)
                return index;
        }
        catch (Exception error) when (IsFault(error))
        {
            // Damaged, or locked by a writer for too long: the reader looks through the segments instead.
            index?.Dispose();
            return null;
        }

        index.Dispose();
        return null;
    }

    /// <summary>How far each segment is indexed, in bytes.</summary>
    public IReadOnlyDictionary<SegmentId, (long After, long Length)> Segments()
    {
        using var command = Command("SELECT epoch, number, after, length FROM segment");
        using var reader = command.ExecuteReader();
        var segments = new Dictionary<SegmentId, (long, long)>();
        while (reader.Read())
            segments[new SegmentId(reader.GetInt64(0), reader.GetInt32(1))] = (reader.GetInt64(2), reader.GetInt64(3));
        return segments;
    }

    /// <summary>Records of an iteration, in the order they were written.</summary>
    public IReadOnlyList<RecordHead> Of(long iteration) => Query("iteration = $value", iteration);

    /// <summary>Records of a type, in the order they were written.</summary>
    public IReadOnlyList<RecordHead> Of(RecordType type) => Query("type = $value", (long)type);

    /// <summary>Highest iteration in a segment; null when it has no record.</summary>
    public long? HighestIteration(SegmentId segment)
    {
        using var command = Command("SELECT max(iteration) FROM record WHERE epoch = $epoch AND number = $number");
        Name(command, segment);
        return command.ExecuteScalar() is long highest ? highest : null;
    }

    /// <summary>Adds records of one segment, in one step.</summary>
    /// <param name="segment">Which.</param>
    /// <param name="after">The iteration after which its epoch began.</param>
    /// <param name="records">Those that are not in the index yet.</param>
    /// <param name="length">How far it is indexed from now on, in bytes.</param>
    public void Add(SegmentId segment, long after, IReadOnlyList<RecordHead> records, long length)
    {
        using var transaction = _connection.BeginTransaction();
        using (var command = Command("INSERT OR REPLACE INTO segment VALUES ($epoch, $number, $after, $length)"))
        {
            Name(command, segment);
            command.Parameters.AddWithValue("$after", after);
            command.Parameters.AddWithValue("$length", length);
            command.Transaction = transaction;
            command.ExecuteNonQuery();
        }

        using var insert = Command($"INSERT OR REPLACE INTO record ({Columns}) VALUES ($type, $iteration, $shard, $part, $rows, $epoch, $number, $offset, $length)");
        insert.Transaction = transaction;
        foreach (var (key, of, offset, size) in records)
        {
            insert.Parameters.Clear();
            Name(insert, of);
            insert.Parameters.AddWithValue("$type", (long)key.Type);
            insert.Parameters.AddWithValue("$iteration", key.Iteration);
            insert.Parameters.AddWithValue("$shard", key.Shard);
            insert.Parameters.AddWithValue("$part", key.Part);
            insert.Parameters.AddWithValue("$rows", key.Rows);
            insert.Parameters.AddWithValue("$offset", offset);
            insert.Parameters.AddWithValue("$length", size);
            insert.ExecuteNonQuery();
        }

        transaction.Commit();
    }

    /// <summary>Forgets a segment.</summary>
    public void Remove(SegmentId segment)
    {
        using var transaction = _connection.BeginTransaction();
        foreach (var table in (string[])["record", "segment"])
        {
            using var command = Command($"DELETE FROM {table} WHERE epoch = $epoch AND number = $number");
            Name(command, segment);
            command.Transaction = transaction;
            command.ExecuteNonQuery();
        }

        transaction.Commit();
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    private static JournalIndex Create(string folder)
    {
        var index = new JournalIndex(Connect(folder, SqliteOpenMode.ReadWriteCreate));
        try
        {
            var version = index.Scalar("PRAGMA user_version");
            if (version is not (0 or Version))
                throw new SqliteException($"It has version {version}; this program writes {Version}.", 1);
            index.Run("PRAGMA journal_mode = TRUNCATE");
            index.Run("PRAGMA synchronous = OFF");
            index.Run(
                $"""
                CREATE TABLE IF NOT EXISTS segment(epoch INTEGER, number INTEGER, after INTEGER, length INTEGER, PRIMARY KEY(epoch, number)) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS record(
                  type INTEGER, iteration INTEGER, shard INTEGER, part INTEGER, rows INTEGER, epoch INTEGER, number INTEGER, offset INTEGER, length INTEGER,
                  PRIMARY KEY(epoch, number, offset)) WITHOUT ROWID;
                CREATE INDEX IF NOT EXISTS by_iteration ON record(iteration);
                CREATE INDEX IF NOT EXISTS by_type ON record(type);
                PRAGMA user_version = {Version};
                """);
            return index;
        }
        catch
        {
            index.Dispose();
            throw;
        }
    }

    private static SqliteConnection Connect(string folder, SqliteOpenMode mode)
    {
        // No pool: a pooled connection would hold the file after everybody has let go of it.
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = JournalFolder.IndexOf(folder),
            Mode = mode,
            Pooling = false,
            DefaultTimeout = 5,
        }.ToString());
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private List<RecordHead> Query(string where, long value)
    {
        using var command = Command($"SELECT {Columns} FROM record WHERE {where} ORDER BY epoch, number, offset");
        command.Parameters.AddWithValue("$value", value);
        using var reader = command.ExecuteReader();
        var records = new List<RecordHead>();
        while (reader.Read())
            records.Add(new RecordHead(
                new RecordKey((RecordType)reader.GetInt64(0), reader.GetInt64(1), reader.GetInt32(2), reader.GetInt32(3), reader.GetInt32(4)),
                new SegmentId(reader.GetInt64(5), reader.GetInt32(6)),
                reader.GetInt64(7),
                reader.GetInt32(8)));
        return records;
    }

    private static void Name(SqliteCommand command, SegmentId segment)
    {
        command.Parameters.AddWithValue("$epoch", segment.Epoch);
        command.Parameters.AddWithValue("$number", segment.Number);
    }

    private long Scalar(string text)
    {
        using var command = Command(text);
        return (long)command.ExecuteScalar()!;
    }

    private void Run(string text)
    {
        using var command = Command(text);
        command.ExecuteNonQuery();
    }

    private SqliteCommand Command(string text)
    {
        var command = _connection.CreateCommand();
        command.CommandText = text;
        return command;
    }
}
