using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;

namespace ColossalChat.PluginHost;

/// <summary>Summaries from the documentation file that the compiler writes beside an assembly.</summary>
internal sealed partial class DocComments
{
    private readonly Dictionary<string, string> _summaries;

    private DocComments(Dictionary<string, string> summaries) => _summaries = summaries;

    public static DocComments Beside(Assembly assembly)
    {
        var path = Path.ChangeExtension(assembly.Location, ".xml");
        if (assembly.Location.Length == 0 || !File.Exists(path))
            return new DocComments([]);
        try
        {
            var members = XDocument.Load(path).Descendants("member")
                .Where(member => member.Attribute("name") is not null && member.Element("summary") is not null)
                .DistinctBy(member => member.Attribute("name")!.Value)
                .ToDictionary(member => member.Attribute("name")!.Value, member => TextOf(member.Element("summary")!));
            return new DocComments(members);
        }
        catch (XmlException)
        {
            // Help pages do without documentation rather than fail over a damaged file.
            return new DocComments([]);
        }
    }

    public string SummaryOf(PropertyInfo property) => Of($"P:{NameOf(property.DeclaringType!)}.{property.Name}");

    public string SummaryOf(Type type) => Of($"T:{NameOf(type)}");

    private string Of(string member) => _summaries.GetValueOrDefault(member, "");

    private static string NameOf(Type type) => (type.FullName ?? type.Name).Replace('+', '.');

    private static string TextOf(XElement summary)
    {
        var parts = summary.DescendantNodes().Select(node => node switch
        {
            XText text => text.Value,
            XElement { IsEmpty: true } reference => reference.Attributes().FirstOrDefault()?.Value.Split('.')[^1] ?? "",
            _ => "",
        });
        return Whitespace().Replace(string.Concat(parts), " ").Trim();
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();
}
