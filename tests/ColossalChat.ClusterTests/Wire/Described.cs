using System.Collections;
using System.Globalization;
using System.Text;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster.Tests;

/// <summary>All that a value holds as text, numbers by their bits: equal values have equal text.</summary>
internal static class Described
{
    public static string Text(object? value)
    {
        var text = new StringBuilder();
        Append(text, value, "");
        return text.ToString();
    }

    private static void Append(StringBuilder to, object? value, string indent)
    {
        switch (value)
        {
            case null:
                to.Append("null\n");
                break;
            case float number:
                to.Append(CultureInfo.InvariantCulture, $"{number} {BitConverter.SingleToUInt32Bits(number):X8}\n");
                break;
            case double number:
                to.Append(CultureInfo.InvariantCulture, $"{number} {BitConverter.DoubleToUInt64Bits(number):X16}\n");
                break;
            case string or bool or int or long or TimeSpan or Enum:
                to.Append(CultureInfo.InvariantCulture, $"{value}\n");
                break;
            case IActorRef actor:
                // Another node knows the same actor by its full address.
                to.Append(CultureInfo.InvariantCulture, $"{actor.Path.ToStringWithoutAddress()}#{actor.Path.Uid}\n");
                break;
            case IEnumerable all:
                to.Append("list\n");
                foreach (var one in all)
                    Append(to.Append(indent).Append("- "), one, indent + "  ");
                break;
            default:
                AppendMembers(to.Append(value.GetType().Name).Append('\n'), value, indent);
                break;
        }
    }

    private static void AppendMembers(StringBuilder to, object value, string indent)
    {
        var type = value.GetType();
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Ragged<>))
        {
            dynamic rows = value;
            Append(to.Append(indent).Append("offsets: "), rows.Offsets.ToArray(), indent + "  ");
            Append(to.Append(indent).Append("values: "), rows.Values.ToArray(), indent + "  ");
            return;
        }

        var isPair = type.IsGenericType && type.GetGenericTypeDefinition() == typeof(KeyValuePair<,>);
        foreach (var property in type.GetProperties().Where(property => property.CanWrite || isPair))
            Append(to.Append(indent).Append(property.Name).Append(": "), property.GetValue(value), indent + "  ");
    }
}
