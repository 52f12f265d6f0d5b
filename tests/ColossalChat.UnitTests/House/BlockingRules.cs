using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using Xunit;

namespace ColossalChat.UnitTests.House;

/// <summary>
/// Looks for calls that block on a task in the built assemblies: there a task's Result cannot be mistaken for another
/// property of that name.
/// </summary>
[Trait("Category", "CI")]
public sealed class BlockingRules
{
    private static readonly HashSet<string> s_blocking =
        ["Task`1.get_Result", "Task.Wait", "Task.WaitAll", "Task.WaitAny", "ValueTask`1.get_Result"];

    [Theory]
    [InlineData("host")]
    [InlineData("plugins")]
    public void Nothing_waits_for_a_task(string group)
    {
        var offences = Repository.ProjectsWithSource(group)
            .SelectMany(project => BlockingCalls(Path.Combine(Repository.Output(group, project), project + ".dll")).Select(call => $"{project} calls {call}"))
            .ToArray();
        Assert.True(offences.Length == 0, $"await instead: {string.Join(", ", offences)}");
    }

    [Fact]
    public void Waiting_is_seen_where_there_is_some()
    {
        Assert.Equal(3, Blocks(Task.FromResult(3)));
        Assert.Equal(["Task`1.get_Result"], BlockingCalls(typeof(BlockingRules).Assembly.Location).Where(call => call == "Task`1.get_Result"));
    }

    private static int Blocks(Task<int> task) => task.Result;

    private static IEnumerable<string> BlockingCalls(string assembly)
    {
        Assert.True(File.Exists(assembly), $"{assembly} is missing; build the solution first.");
        using var image = new PEReader(File.OpenRead(assembly));
        var metadata = image.GetMetadataReader();
        return [.. metadata.MemberReferences.Select(metadata.GetMemberReference)
            .Select(member => $"{TypeName(metadata, member.Parent)}.{metadata.GetString(member.Name)}")
            .Where(s_blocking.Contains)
            .Distinct()];
    }

    private static string TypeName(MetadataReader metadata, EntityHandle parent)
    {
        if (parent.Kind == HandleKind.TypeReference)
            return metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)parent).Name);
        if (parent.Kind != HandleKind.TypeSpecification)
            return "";

        // Task<int> is a generic instance: a marker, class or value type, then the open type.
        var signature = metadata.GetBlobReader(metadata.GetTypeSpecification((TypeSpecificationHandle)parent).Signature);
        if (signature.ReadByte() != (byte)SignatureTypeCode.GenericTypeInstance)
            return "";
        signature.ReadByte();
        var open = signature.ReadTypeHandle();
        return open.Kind == HandleKind.TypeReference ? metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)open).Name) : "";
    }
}
