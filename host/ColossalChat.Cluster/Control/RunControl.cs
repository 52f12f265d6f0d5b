using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Something that a user wants of a run that is going on.</summary>
/// <param name="Kind">A word such as <see cref="RunControl.Swap"/>.</param>
/// <param name="Arguments">By name.</param>
public sealed record ControlRequest(string Kind, IReadOnlyDictionary<string, string> Arguments);

/// <summary>What the run says to it.</summary>
/// <param name="ExitCode">For the verb that asked.</param>
/// <param name="Message">What to print.</param>
public sealed record ControlAnswer(ExitCode ExitCode, string Message);

/// <summary>
/// The drop box of a run, folder <c>control</c> in the run's folder: whoever can write there can ask, from any machine
/// that has it mounted. Files are written under another name and renamed, so nobody reads half of one.
/// </summary>
public static class RunControl
{
    /// <summary>Kind of a request to exchange a plugin; its arguments are <see cref="Plugin"/> and <see cref="Folder"/>.</summary>
    public const string Swap = "swap";

    /// <summary>Argument: name of a plugin.</summary>
    public const string Plugin = "plugin";

    /// <summary>Argument: full path of a folder.</summary>
    public const string Folder = "folder";

    /// <summary>Kind of a request that a node leaves the run; its argument is <see cref="Node"/>.</summary>
    public const string Leave = "leave";

    /// <summary>Argument: name of a node.</summary>
    public const string Node = "node";

    /// <summary>Kind of a request that a run on several nodes ends after its iteration.</summary>
    public const string Stop = "stop";

    private const string Request = ".request.json";
    private const string Answered = ".answer.json";

    private static readonly JsonSerializerOptions s_format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    /// <summary>Puts a request into the box.</summary>
    /// <returns>The id under which it is answered.</returns>
    /// <exception cref="IOException">The box cannot be written to.</exception>
    public static string Post(string runFolder, ControlRequest request)
    {
        var id = Guid.NewGuid().ToString("N");
        Write(runFolder, id + Request, request);
        return id;
    }

    /// <summary>Requests that are not answered yet, by id, in ordinal order.</summary>
    public static IReadOnlyList<(string Id, ControlRequest? Request)> Pending(string runFolder)
    {
        var box = Box(runFolder);
        if (!Directory.Exists(box))
            return [];
        return [.. Directory.GetFiles(box, "*" + Request).Order(StringComparer.Ordinal)
            .Select(file => (Path.GetFileName(file)[..^Request.Length], Read<ControlRequest>(file)))];
    }

    /// <summary>Answers a request and takes it out of the box.</summary>
    public static void Answer(string runFolder, string id, ControlAnswer answer)
    {
        // Nobody waits for an answer to a request that was withdrawn.
        if (!File.Exists(Path.Combine(Box(runFolder), id + Request)))
            return;
        Write(runFolder, id + Answered, answer);
        File.Delete(Path.Combine(Box(runFolder), id + Request));
    }

    /// <summary>Takes a request back, and an answer that nobody waits for any more.</summary>
    public static void Withdraw(string runFolder, string id)
    {
        File.Delete(Path.Combine(Box(runFolder), id + Request));
        File.Delete(Path.Combine(Box(runFolder), id + Answered));
    }

    /// <summary>The answer, which is taken out of the box; null while there is none.</summary>
    public static ControlAnswer? TakeAnswer(string runFolder, string id)
    {
        var file = Path.Combine(Box(runFolder), id + Answered);
        if (!File.Exists(file))
            return null;
        var answer = Read<ControlAnswer>(file);
        File.Delete(file);
        return answer ?? new ControlAnswer(ExitCode.Failed, $"The run's answer in {file} could not be read.");
    }

    private static string Box(string runFolder) => Path.Combine(runFolder, "control");

    private static void Write<T>(string runFolder, string name, T content)
    {
        var box = Directory.CreateDirectory(Box(runFolder)).FullName;
        var draft = Path.Combine(box, name + ".new");
        File.WriteAllBytes(draft, JsonSerializer.SerializeToUtf8Bytes(content, s_format));
        File.Move(draft, Path.Combine(box, name), overwrite: true);
    }

    // Anybody may write there: what is no request is answered as such, and ends nothing.
    private static T? Read<T>(string file)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllBytes(file), s_format);
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
