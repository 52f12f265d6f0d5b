using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using Xunit;

namespace ColossalChat.UnitTests.House;

/// <summary>Contracts change on purpose only: add, do not alter. The approved files are reviewed like code.</summary>
[Trait("Category", "CI")]
public sealed class ApprovedSurfaceTests
{
    private static readonly string s_approvedFolder =
        Path.Combine(Repository.Root, "tests", "ColossalChat.UnitTests", "House", "ApprovedSurface");

    [Theory]
    [InlineData(typeof(IPlugin))]
    [InlineData(typeof(ICausalModel))]
    public void Public_surface_is_the_approved_one(Type inside)
    {
        var assembly = inside.Assembly.GetName().Name!;
        var approvedFile = Path.Combine(s_approvedFolder, assembly + ".txt");
        var actual = SurfacePrinter.Print(inside.Assembly);
        if (Environment.GetEnvironmentVariable("COLOSSALCHAT_APPROVE") == "1")
            File.WriteAllText(approvedFile, actual);

        var approved = File.Exists(approvedFile) ? File.ReadAllText(approvedFile) : "";
        if (approved == actual)
            return;
        var received = Path.Combine(AppContext.BaseDirectory, assembly + ".received.txt");
        File.WriteAllText(received, actual);
        Assert.Fail(
            $"The public surface of {assembly} has changed:\n{Difference(approved, actual)}\n" +
            $"All of it is in {received}. If the change is meant (add, do not alter; a broken plugin needs a new major version), approve it: " +
            $"COLOSSALCHAT_APPROVE=1 dotnet test tests/ColossalChat.UnitTests --filter {nameof(ApprovedSurfaceTests)}");
    }

    private static string Difference(string approved, string actual)
    {
        var (before, after) = (approved.Split('\n'), actual.Split('\n'));
        return string.Join("\n", before.Except(after).Select(line => "- " + line).Concat(after.Except(before).Select(line => "+ " + line)).Take(40));
    }
}
