using System.Text;
using System.Text.RegularExpressions;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>Writes a tree as HOCON that our scanner and Akka's parser read alike: one key a line.</summary>
internal static partial class HoconWriter
{
    /// <summary>The members of a section.</summary>
    /// <param name="section">What to write.</param>
    /// <param name="withOrigins">True adds where each value came from as a comment.</param>
    public static string Write(ConfigSection section, bool withOrigins = false)
    {
        var text = new StringBuilder();
        Members(section, 0, withOrigins, text);
        return text.ToString();
    }

    private static void Members(ConfigSection section, int depth, bool withOrigins, StringBuilder text)
    {
        foreach (var (key, node) in section.Children)
        {
            text.Append(' ', depth * 2).Append(HoconPath.Part(key));
            if (node is ConfigSection child)
            {
                text.Append(child.Children.Count == 0 ? " { }\n" : " {\n");
                if (child.Children.Count == 0)
                    continue;
                Members(child, depth + 1, withOrigins, text);
                text.Append(' ', depth * 2).Append("}\n");
                continue;
            }

            text.Append(" = ");
            Inline(node, text);
            if (withOrigins)
                text.Append("  # ").Append(node.Location);
            text.Append('\n');
        }
    }

    private static void Inline(ConfigNode node, StringBuilder text)
    {
        switch (node)
        {
            case ConfigValue value:
                text.Append(Plain().IsMatch(value.Text) && value.Text != "null" ? value.Text : HoconPath.Quote(value.Text));
                break;
            case ConfigList list:
                text.Append('[');
                foreach (var (i, item) in list.Items.Index())
                {
                    text.Append(i > 0 ? ", " : "");
                    Inline(item, text);
                }

                text.Append(']');
                break;
            case ConfigSection section:
                text.Append("{ ");
                foreach (var (i, (key, child)) in section.Children.Index())
                {
                    text.Append(i > 0 ? ", " : "").Append(HoconPath.Part(key)).Append(" = ");
                    Inline(child, text);
                }

                text.Append(" }");
                break;
        }
    }

    [GeneratedRegex(@"^[A-Za-z0-9_-][A-Za-z0-9_.-]*\z")]
    private static partial Regex Plain();
}
