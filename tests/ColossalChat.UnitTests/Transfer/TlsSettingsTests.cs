using ColossalChat.Contracts;
using ColossalChat.Tests;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class TlsSettingsTests : IDisposable
{
    private readonly TlsFiles _files = new();

    public void Dispose() => _files.Dispose();

    [Theory]
    [InlineData("", false)]
    [InlineData("secret", false)]
    [InlineData("", true)]
    [InlineData("secret", true)]
    public void A_certificate_of_our_authority_is_read_and_is_good(string password, bool isPfx)
    {
        var settings = _files.Node("node", password: password, isPfx: isPfx);

        var facts = settings.Inspect();
        using var identity = settings.Load();

        Assert.Equal(("CN=node", true, true), (facts.Subject, facts.HasKey, facts.IsChainGood));
        Assert.Empty(facts.Problems);
        Assert.Empty(settings.Problems());
        Assert.InRange(facts.NotAfter!.Value, DateTime.UtcNow.AddDays(364), DateTime.UtcNow.AddDays(366));
        Assert.Null(identity.WhyRefused(identity.Certificate, null));
        Assert.DoesNotContain("secret", settings.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-2, -1, "expired")]
    [InlineData(0.5, 1, "valid only from")]
    public void A_certificate_that_is_not_valid_now_is_refused_with_its_dates(double from, double to, string reason)
    {
        var settings = _files.Node("node", from, to);

        Assert.Contains(reason, Assert.Single(settings.Problems()), StringComparison.Ordinal);
        Assert.Contains(reason, Assert.Throws<UserErrorException>(() => settings.Load()).Message, StringComparison.Ordinal);
        Assert.False(settings.Inspect().IsChainGood);
    }

    [Theory]
    [InlineData("node2", true)]
    [InlineData("CN=node2", true)]
    [InlineData("node1", false)]
    [InlineData("CN=node2, O=Others", false)]
    [InlineData("ode2", false)]
    public void Where_names_are_given_others_of_the_authority_are_refused(string name, bool isLetIn)
    {
        using var ours = (_files.Node("node0") with { Names = ["node0", name] }).Load();
        using var theirs = _files.Node("node2").Load();

        if (isLetIn)
            Assert.Null(ours.WhyRefused(theirs.Certificate, null));
        else
            Assert.Contains($"none of the names that are let in: node0, {name}", ours.WhyRefused(theirs.Certificate, null), StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_must_be_among_the_names_itself_and_a_name_must_be_one()
    {
        Assert.Contains("none of the names", Assert.Single((_files.Node("node0") with { Names = ["node1"] }).Problems()), StringComparison.Ordinal);
        Assert.Contains("The TLS name 'a b' is neither", Assert.Single((_files.Node("node3") with { Names = ["a b"] }).Problems()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_of_another_authority_is_refused_even_When_that_one_has_the_same_name()
    {
        using var strangers = new TlsFiles();
        var foreign = strangers.Node("node") with { AuthoritiesFile = _files.AuthoritiesFile };

        Assert.Contains("does not come from one of our authorities", Assert.Single(foreign.Problems()), StringComparison.Ordinal);
        using var ours = _files.Node("ours").Load();
        using var theirs = strangers.Node("theirs").Load();
        Assert.Contains("authorities", ours.WhyRefused(theirs.Certificate, null), StringComparison.Ordinal);
        Assert.Contains("no certificate", ours.WhyRefused(null, null), StringComparison.Ordinal);
    }

    [Fact]
    public void All_files_that_cannot_be_used_are_named_at_once()
    {
        var settings = new TlsSettings { CertificateFile = _files.Write("empty.pem", ""), AuthoritiesFile = Path.Combine(_files.Folder, "absent.pem") };

        var problems = settings.Problems().ToArray();

        Assert.Equal(2, problems.Length);
        Assert.Contains("empty.pem", problems[0], StringComparison.Ordinal);
        Assert.Contains("absent.pem", problems[1], StringComparison.Ordinal);
        Assert.Null(settings.Inspect().NotAfter);
    }

    [Fact]
    public void A_wrong_password_and_a_key_of_another_certificate_are_problems()
    {
        var good = _files.Node("node", password: "secret");
        var other = _files.Node("other", password: "secret");

        Assert.Contains("node.pem", Assert.Single((good with { Password = "wrong" }).Problems()), StringComparison.Ordinal);
        Assert.Contains("node.pem", Assert.Single((good with { KeyFile = other.KeyFile }).Problems()), StringComparison.Ordinal);
    }
}
